// Other: another process that runs `body` beside the test; killed with this object, unless it ended before.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

namespace tensord::test {

class Other {
 public:
  template <class Body>
  explicit Other(Body&& body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(code_of(body));
  }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  ~Other() {
    if (pid_ != -1) kill();
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Its exit code; -1 if a signal ended it.
  int join() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    join();
  }

 private:
  template <class Body>
  static int code_of(Body& body) {
    try {
      return body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in another process: %s\n", error.what());
      return 1;
    }
  }
  pid_t pid_;
};

}  // namespace tensord::test
