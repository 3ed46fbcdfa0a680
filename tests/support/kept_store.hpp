// KeptStore: a store under `tensord --keep`, and ways to kill its daemon.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "daemon_process.hpp"

namespace tensord::test {

class KeptStore {
 public:
  explicit KeptStore(std::vector<std::string> options = {}) : keeper_(with_keep(std::move(options))) {
    ::unsetenv("TENSORD_CRASH_AT");
  }

  [[nodiscard]] Store connect() const { return keeper_.connect(); }
  [[nodiscard]] const std::string& socket() const { return keeper_.socket(); }
  [[nodiscard]] pid_t keeper_pid() const { return keeper_.pid(); }
  [[nodiscard]] bool running() const { return keeper_.running(); }
  [[nodiscard]] std::string log() const { return keeper_.log(); }

  // The daemon that serves now.
  [[nodiscard]] static pid_t daemon_pid(const Store& store) {
    return static_cast<pid_t>(store.stats().daemon_pid);
  }
  static void kill_daemon(const Store& store) { ::kill(daemon_pid(store), SIGKILL); }

  // Has the next daemon die at the `count`th time that it reaches this point (os/crash_point.hpp), and makes
  // it the next one at once. Returns when that serves; then whatever reaches the point kills it.
  void let_daemon_die_at(const Store& store, const std::string& point, int count = 1) const {
    let_next_daemon_die_at(point, count);
    kill_daemon(store);
    static_cast<void>(store.stats());
  }
  // The same of the daemon that is started next, whenever that is.
  void let_next_daemon_die_at(const std::string& point, int count) const {
    std::ofstream(crash_file()) << point << ' ' << count << '\n';
  }
  // Whether it died there; if not, it is not to any more, from its next start on.
  [[nodiscard]] bool did_die() const { return !std::filesystem::remove(crash_file()); }

 private:
  [[nodiscard]] std::filesystem::path crash_file() const { return crash_file_; }
  std::vector<std::string> with_keep(std::vector<std::string> options) {
    // The daemons get it from their keeper's environment.
    crash_file_ = std::filesystem::temp_directory_path() / ("tensord-crash-at-" + std::to_string(::getpid()));
    std::filesystem::remove(crash_file_);
    ::setenv("TENSORD_CRASH_AT", crash_file_.c_str(), 1);
    options.emplace_back("--keep");
    return options;
  }

  std::filesystem::path crash_file_;  // before keeper_, which needs it
  DaemonProcess keeper_;
};

}  // namespace tensord::test
