#include "background.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace tensord::daemon {

Background Background::enter() {
  // What a parent left open would otherwise be held open for as long as the daemon runs.
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child > 0) {
    ::close(ready[1]);
    char byte = 0;
    ssize_t size = 0;
    while ((size = ::read(ready[0], &byte, 1)) < 0 && errno == EINTR) {
    }
    ::_exit(size == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  ::close(ready[0]);
  ::setsid();
  if (::chdir("/") != 0) throw std::system_error(errno, std::generic_category(), "chdir");
  Background background;
  background.ready_fd_ = ready[1];
  return background;
}

void Background::log_to(const std::string& log_path) {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(log >= 0 ? log : nothing, STDERR_FILENO);
  ::close(nothing);
  if (log >= 0) ::close(log);
}

void Background::report_ready(const std::string& log_path) {
  log_to(log_path);
  const char byte = 1;
  while (::write(ready_fd_, &byte, 1) < 0 && errno == EINTR) {
  }
  ::close(ready_fd_);
  ready_fd_ = -1;
}

}  // namespace tensord::daemon
