#include "passed_fds.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "parts.hpp"

namespace tensord::daemon {

std::vector<PassedFd> take_passed_fds() {
  std::vector<PassedFd> passed;
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  if (pid != nullptr && count != nullptr && std::strtol(pid, nullptr, 10) == ::getpid()) {
    const char* const all_names = std::getenv("LISTEN_FDNAMES");
    std::string_view names = all_names == nullptr ? "" : all_names;
    for (int i = 0; i < std::strtol(count, nullptr, 10); ++i) {
      const int fd = kFirstPassedFd + i;
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) break;  // there are fewer than it says
      passed.push_back({std::string(take_part(names, ':')), os::UniqueFd(fd)});
    }
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return passed;
}

}  // namespace tensord::daemon
