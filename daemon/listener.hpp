// Listener: the socket that the daemon serves, and the right to serve it.
//
// From a service manager the socket comes from outside, and the right with it. Otherwise a lock
// beside the socket says who serves it: it is taken before anything is touched and held until the
// process ends, so of two daemons started at once one serves and the other finds out; and whoever
// holds it may replace a socket that a dead daemon left behind.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.hpp"
#include "passed_fds.hpp"

namespace tensord::daemon {

// What is wrong with a folder for the socket of `user`'s daemon, as "it ..." says it: in one that others can
// write, somebody could put a socket of his own in its place. Empty: nothing is.
[[nodiscard]] std::string fault_of_socket_folder(const std::filesystem::path& folder, uid_t user);

class Listener {
 public:
  // The socket that a service manager passed, and a keeper its lock with it, taken out of what it passed.
  // Throws std::runtime_error if there is not one listening SOCK_SEQPACKET Unix socket. REQUIRES: it passed
  // something.
  [[nodiscard]] static Listener from_passed(std::vector<PassedFd>& passed);
  // Binds `path`, making its directory (mode 0700) if that is missing. Nothing if another daemon
  // serves it: then it does so already, also when both were started at once. Throws
  // std::runtime_error with a text for the user.
  [[nodiscard]] static std::optional<Listener> bind(const std::string& path);

  // Takes the socket away so that nobody else is sent here; connected clients are not affected.
  void unlink() noexcept;

  [[nodiscard]] int fd() const { return socket_.get(); }
  // The lock, which lasts as long as anybody has a copy of its descriptor. REQUIRES: bound.
  [[nodiscard]] int lock_fd() const { return lock_.get(); }
  static constexpr std::string_view kLockName = "lock";  // as a passed descriptor
  [[nodiscard]] int release_fd() { return socket_.release(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] static std::optional<Listener> try_bind(const std::string& path);

  os::UniqueFd socket_;
  os::UniqueFd lock_;
  std::string path_;
};

}  // namespace tensord::daemon
