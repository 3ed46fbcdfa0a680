// Passed descriptors: what a service manager had ready when it started this process (sd_listen_fds(3)).
#pragma once

#include <string>
#include <vector>

#include "os/unique_fd.hpp"

namespace tensord::daemon {

inline constexpr int kFirstPassedFd = 3;  // SD_LISTEN_FDS_START

struct PassedFd {
  std::string name;  // as its manager calls it
  os::UniqueFd fd;
};

// All of them; none if none were meant for this process. From here on they close on exec, and the environment
// speaks of them no more.
[[nodiscard]] std::vector<PassedFd> take_passed_fds();

}  // namespace tensord::daemon
