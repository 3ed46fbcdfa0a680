// ServiceManager: whoever started the daemon and starts it again when it ends: systemd, or a Keeper
// (keeper.hpp). Both speak the protocol of sd_notify(3): datagrams of NAME=value lines, and of descriptors
// that are to be kept for the next daemon, to the socket in $NOTIFY_SOCKET. The protocol is stable and this
// small, which is why libsystemd is not a dependency.
//
// Without him  A daemon whose manager is gone serves on, and is not kept any more.
// Kept         A descriptor that the manager has been sent is safe at once: it reads what a daemon sent
//              before it looks whether that daemon has ended (docs/decisions/daemon-restart.md). So nothing
//              waits for a confirmation (BARRIER=1).
// Threads      one.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include <tensord/store.hpp>

#include "os/unique_fd.hpp"
#include "result.hpp"

namespace tensord::daemon {

class ServiceManager {
 public:
  // The one that the environment names (NOTIFY_SOCKET, FDSTORE, WATCHDOG_USEC); or nobody: then all of this
  // does nothing.
  [[nodiscard]] static ServiceManager from_environment();

  // READY=1 and the like. Never fails: what cannot be said is logged.
  void notify(std::string_view lines);

  // Who keeps them. A daemon that a keeper runs is told so by kKeeperVariable in its environment.
  [[nodiscard]] KeptBy kept_by() const;
  static constexpr const char* kKeeperVariable = "TENSORD_KEPT_BY_KEEPER";
  // Whether descriptors are kept for the next daemon.
  [[nodiscard]] bool keeps() const { return max_kept_ > 0; }
  // Has these kept, under this name. Fails with kLimitReached: the manager keeps no more.
  Result<Done> keep(const std::string& name, std::span<const int> fds);
  // All that is kept under this name; there may be nothing.
  void let_go(const std::string& name);
  // One of this name is kept since before this daemon began.
  void keeps_already(const std::string& name) { count(name, 1); }

  // How often WATCHDOG=1 is to be said, if it is to be.
  [[nodiscard]] std::optional<std::chrono::milliseconds> watchdog_interval() const { return watchdog_; }

  // The next daemon gets all names in one variable of its environment, of which the kernel takes 128 KiB.
  static constexpr std::size_t kMaxNamesBytes = 120 * 1024;

 private:
  bool send(std::string_view lines, std::span<const int> fds = {});
  void count(const std::string& name, std::size_t fds);

  os::UniqueFd socket_;  // none: there is nobody
  bool is_keeper_ = false;
  std::size_t max_kept_ = 0;
  std::unordered_map<std::string, std::size_t> kept_by_name_;
  std::size_t kept_ = 0;         // the sum of those
  std::size_t names_bytes_ = 0;  // as they will stand in the environment
  std::optional<std::chrono::milliseconds> watchdog_;
};

}  // namespace tensord::daemon
