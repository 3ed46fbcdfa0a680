// Listener: the socket that the daemon serves, and the right to serve it.
//
// Under systemd the socket comes from outside (LISTEN_FDS) and the right with it. Otherwise a lock
// beside the socket says who serves it: it is taken before anything is touched and held until the
// process ends, so of two daemons started at once one serves and the other finds out; and whoever
// holds it may replace a socket that a dead daemon left behind.
#pragma once

#include <optional>
#include <string>

#include "os/unique_fd.hpp"

namespace tensord::daemon {

class Listener {
 public:
  // The socket from the service manager, if there is one. Takes LISTEN_FDS out of the environment.
  // Throws std::runtime_error if what it passed is no listening SOCK_SEQPACKET Unix socket.
  [[nodiscard]] static std::optional<Listener> from_service_manager();
  // Binds `path`, making its directory (mode 0700) if that is missing. Nothing if another daemon
  // serves it: then it does so already, also when both were started at once. Throws
  // std::runtime_error with a text for the user.
  [[nodiscard]] static std::optional<Listener> bind(const std::string& path);

  // Takes the socket away so that nobody else is sent here; connected clients are not affected.
  void unlink() noexcept;

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] int release_fd() { return socket_.release(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] static std::optional<Listener> try_bind(const std::string& path);

  os::UniqueFd socket_;
  os::UniqueFd lock_;
  std::string path_;
};

}  // namespace tensord::daemon
