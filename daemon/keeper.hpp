// Keeper: what systemd is to the daemon, where there is no systemd: `tensord --keep`.
//
// It starts the daemon, keeps the descriptors that it is sent, and when the daemon dies starts it again with
// all of them. It speaks systemd's protocol (sd_notify(3), sd_listen_fds(3)), so the daemon has one way to be
// kept. It does nothing else, so that there is nothing for it to die of.
//
//   daemon ends with 0                      it was to stop: the keeper ends, and the store with it
//   killed, or ends with anything else      it is started again, ever later if it does not get far
//   does not say WATCHDOG=1 for so long     it is killed (--watchdog)
//   SIGTERM, SIGINT, SIGHUP to the keeper   it stops the daemon, and ends
//
// Whenever it starts the daemon, it starts the program that is there by then: so an upgrade is a restart.
//
// Threads  one; the process has no other.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "background.hpp"
#include "listener.hpp"
#include "os/unique_fd.hpp"
#include "passed_fds.hpp"

namespace tensord::daemon {

// A daemon that ends with this wants to be started again (Shutdown.restart).
inline constexpr int kRestartExitCode = 75;  // EX_TEMPFAIL of sysexits.h

// In the environment of the first daemon: where its log goes once it is ready.
inline constexpr const char* kLogVariable = "TENSORD_KEPT_LOG";

class Keeper {
 public:
  // The daemon is the program that this process runs, with the same arguments; it serves that listener.
  // `background` hears of its readiness. Throws std::system_error.
  // A watchdog of 0 seconds: none.
  Keeper(Listener listener, char** arguments, std::chrono::seconds watchdog,
         std::optional<Background> background);
  // Returns the exit code for the process, after the daemon's end.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  void start_daemon();
  [[noreturn]] void become_daemon();
  void await_something();
  void take_messages();
  void take_message(std::string_view lines, std::vector<os::UniqueFd> fds);
  void take_signals();
  void look_after_daemon();
  // What becomes of it all after the daemon ended so.
  void daemon_ended(int status);
  [[nodiscard]] std::optional<Clock::time_point> deadline() const;

  Listener listener_;
  char** const arguments_;
  const std::chrono::seconds watchdog_;
  const std::string program_;
  std::optional<Background> background_;
  os::UniqueFd notify_socket_;
  std::string notify_name_;
  os::UniqueFd signals_;
  std::vector<PassedFd> kept_;

  pid_t daemon_ = -1;                             // -1: none runs
  bool was_ready_ = false;                        // any daemon yet
  bool is_ready_ = false;                         // this one
  bool is_stopping_ = false;                      // by a signal to the keeper
  Clock::time_point last_sign_of_life_{};         // of this daemon
  std::optional<Clock::time_point> start_again_;  // when, if none runs
  Clock::duration pause_{};                       // before that
  std::optional<int> exit_code_;                  // once it is all over
};

}  // namespace tensord::daemon
