// Options: what the daemon was told: by flags, else by a config file, else by TENSORD_* in its environment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "backing.hpp"
#include "huge_pages.hpp"
#include "log.hpp"
#include "quotas.hpp"

namespace tensord::daemon {

inline constexpr std::uint32_t kDefaultMaxTensors = 65'536;
inline constexpr std::uint32_t kDefaultMaxConnections = 1'024;
inline constexpr std::uint64_t kDefaultKeepWarmBytes = std::uint64_t{1} << 30;

// Far longer than anything that the daemon does without a look at its timers.
inline constexpr std::uint32_t kDefaultWatchdogSeconds = 30;

inline constexpr int kUsageExitCode = 2;  // what the options say makes no sense

struct Options {
  std::string socket;
  std::uint64_t max_bytes = 0;
  std::uint64_t keep_warm_bytes = 0;
  std::uint32_t max_tensors = kDefaultMaxTensors;
  std::uint32_t max_connections = kDefaultMaxConnections;
  Quotas::Figures per_user = Quotas::kNoLimits;  // beyond those of the store
  mode_t namespace_mode = 0600;
  HugePages huge_pages = HugePages::kAuto;
  Reserve reserve = Reserve::kAhead;
  bool keep = false;
  std::uint32_t watchdog_s = kDefaultWatchdogSeconds;  // of --keep; 0: none
  bool background = false;
  log::Level log_level = log::Level::kInfo;
};

// Nothing: the process is done (--help, --version, a usage error) and exits with `exit_code`.
[[nodiscard]] std::optional<Options> parse_options(int argc, char** argv, int& exit_code);

// Half of what this process may have: the machine's memory, or its cgroup's limit if that is less.
[[nodiscard]] std::uint64_t default_max_bytes();

}  // namespace tensord::daemon
