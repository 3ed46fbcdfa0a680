// Datagrams with descriptors over SOCK_SEQPACKET Unix sockets: the control road between a client
// and the daemon. A message arrives whole or not at all, so neither side parses a stream.
//
// Fails  with std::system_error, except where a promise below says otherwise.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "os/unique_fd.hpp"

namespace tensord::os {

inline constexpr std::size_t kMaxFdsPerMessage = 8;  // the kernel's own limit is 253

// The length of a socket path that fits the kernel's sockaddr_un, at most.
[[nodiscard]] std::size_t max_socket_path_size();

// A socket connected to `path`. Throws std::system_error: ENOENT and ECONNREFUSED mean that nobody
// listens there, EPROTOTYPE that it is a socket of another kind.
[[nodiscard]] UniqueFd connect_seqpacket(const std::string& path);
// A bound, listening, non-blocking socket, mode 0666: who may do what is decided per request, by
// the peer's uid. REQUIRES: nothing exists at path.
[[nodiscard]] UniqueFd listen_seqpacket(const std::string& path);

// Sends one message. False if it would block (with `block` false) or the peer is gone (EPIPE,
// ECONNRESET): in both cases the reader of the other direction learns of it.
bool send_message(int socket, std::span<const std::byte> message, std::span<const int> fds = {},
                  bool block = true);

struct Received {
  std::size_t size_bytes = 0;  // 0: the peer hung up
  bool truncated = false;      // the message, or its descriptors, did not fit
  bool fds_lost = false;       // this process may open no more, so not all that were sent are in fds
  bool would_block = false;
  int sender_pid = 0;  // receive_with_sender() only
  std::vector<UniqueFd> fds;
};
// Receives one message into `buffer`, and up to `max_fds` descriptors. Throws EINTR through, so
// that the caller can look after signals.
[[nodiscard]] Received receive_message(int socket, std::span<std::byte> buffer, std::size_t max_fds,
                                       bool block = true);
// The same without blocking, and who sent it. REQUIRES: SO_PASSCRED is set.
[[nodiscard]] Received receive_with_sender(int socket, std::span<std::byte> buffer, std::size_t max_fds);
// Looks at the message that would be received next, without blocking and without its descriptors, of which
// `truncated` tells. It stays where it is until drop_message().
[[nodiscard]] Received peek_message(int socket, std::span<std::byte> buffer);
void drop_message(int socket) noexcept;

struct PeerCredentials {
  int pid = 0;
  unsigned uid = 0;
  unsigned gid = 0;
};
[[nodiscard]] PeerCredentials peer_credentials(int socket);

}  // namespace tensord::os
