#include "os/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace tensord::os {
namespace {

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() > max_socket_path_size()) {
    throw std::system_error(ENAMETOOLONG, std::generic_category(), "socket path");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

UniqueFd new_socket(int flags) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!socket) throw_errno("socket");
  return socket;
}

// Room for the descriptors of one message and for who sent it, aligned as the kernel wants its control
// messages.
struct alignas(cmsghdr) ControlBuffer {
  std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))> bytes{};
};

}  // namespace

std::size_t max_socket_path_size() { return sizeof(sockaddr_un::sun_path) - 1; }

UniqueFd connect_seqpacket(const std::string& path) {
  const sockaddr_un address = address_of(path);
  UniqueFd socket = new_socket(0);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) throw_errno("connect");
  }
  return socket;
}

UniqueFd listen_seqpacket(const std::string& path) {
  const sockaddr_un address = address_of(path);
  UniqueFd socket = new_socket(SOCK_NONBLOCK);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("bind");
  }
  if (::chmod(path.c_str(), 0666) != 0) throw_errno("chmod of the socket");
  if (::listen(socket.get(), SOMAXCONN) != 0) throw_errno("listen");
  return socket;
}

bool send_message(int socket, std::span<const std::byte> message, std::span<const int> fds, bool block) {
  iovec part{const_cast<std::byte*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ControlBuffer control;
  if (!fds.empty()) {
    if (fds.size() > kMaxFdsPerMessage) {
      throw std::system_error(E2BIG, std::generic_category(), "descriptors in one message");
    }
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT);
  while (::sendmsg(socket, &header, flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return false;
    throw_errno("sendmsg");
  }
  return true;
}

namespace {

Received receive(int socket, std::span<std::byte> buffer, std::size_t max_fds, int flags,
                 bool with_sender = false) {
  iovec part{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ControlBuffer control;
  if (max_fds > 0) {
    header.msg_control = control.bytes.data();
    // No more than is asked for: the kernel fills with descriptors what there is.
    header.msg_controllen = CMSG_SPACE(max_fds * sizeof(int)) + (with_sender ? CMSG_SPACE(sizeof(ucred)) : 0);
  }
  Received received;
  const ssize_t size = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
  if (size < 0) {
    if (errno == ECONNRESET) return received;
    if (errno == EAGAIN) {
      received.would_block = true;
      return received;
    }
    throw_errno("recvmsg");
  }
  received.size_bytes = static_cast<std::size_t>(size);
  for (cmsghdr* part_of = CMSG_FIRSTHDR(&header); part_of != nullptr;
       part_of = CMSG_NXTHDR(&header, part_of)) {
    if (part_of->cmsg_level != SOL_SOCKET) continue;
    if (part_of->cmsg_type == SCM_CREDENTIALS) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(part_of), sizeof sender);
      received.sender_pid = sender.pid;
    }
    if (part_of->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part_of) + i * sizeof(int), sizeof(int));
      received.fds.emplace_back(fd);
    }
  }
  // Fewer than there was room for: then it is this process that can take no more.
  received.fds_lost = (header.msg_flags & MSG_CTRUNC) != 0 && received.fds.size() < max_fds;
  received.truncated =
      (header.msg_flags & MSG_TRUNC) != 0 || ((header.msg_flags & MSG_CTRUNC) != 0 && !received.fds_lost);
  return received;
}

}  // namespace

Received receive_message(int socket, std::span<std::byte> buffer, std::size_t max_fds, bool block) {
  return receive(socket, buffer, max_fds, block ? 0 : MSG_DONTWAIT);
}

Received receive_with_sender(int socket, std::span<std::byte> buffer, std::size_t max_fds) {
  return receive(socket, buffer, max_fds, MSG_DONTWAIT, /*with_sender=*/true);
}

Received peek_message(int socket, std::span<std::byte> buffer) {
  return receive(socket, buffer, /*max_fds=*/0, MSG_DONTWAIT | MSG_PEEK);
}

void drop_message(int socket) noexcept {
  std::byte first;
  while (::recv(socket, &first, sizeof first, MSG_DONTWAIT) < 0 && errno == EINTR) {
  }
}

PeerCredentials peer_credentials(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) throw_errno("SO_PEERCRED");
  return {credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace tensord::os
