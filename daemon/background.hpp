// Background: `tensord --background`. The caller's process waits until the daemon serves and exits;
// the daemon lives on in a session of its own, with its log in a file.
#pragma once

#include <string>

namespace tensord::daemon {

class Background {
 public:
  // Forks. Returns in the child only; the parent exits with 0 once report_ready() was called there,
  // with 1 if the child ends without. Standard error stays the caller's until report_ready(), so that
  // what goes wrong before is seen. REQUIRES: no thread was started yet.
  static Background enter();

  // From here on the log goes to `log_path` (appended to), and the parent exits.
  void report_ready(const std::string& log_path);

  // Standard error goes to this file from here on (appended to), and the other two to nowhere.
  static void log_to(const std::string& log_path);

 private:
  int ready_fd_ = -1;
};

}  // namespace tensord::daemon
