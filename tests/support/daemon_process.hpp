// DaemonProcess: a daemon of the test's own, on a socket in a directory of its own; both end with
// the object. The program under test is $TENSORD_DAEMON, which CTest sets.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tensord/store.hpp>

namespace tensord::test {

class DaemonProcess {
 public:
  // With a uid: a process of that user (and of the group with the same number), which users of the
  // machine can reach. Only root can start one.
  explicit DaemonProcess(std::vector<std::string> arguments = {}, std::optional<uid_t> uid = std::nullopt);
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess();  // SIGTERM, then waits

  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] pid_t pid() const { return pid_; }  // with --keep the keeper's
  [[nodiscard]] Store connect() const { return Store::connect({socket_, /*start=*/false}); }
  [[nodiscard]] bool running() const;
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  [[nodiscard]] std::string log() const;  // all that it wrote to standard error so far

 private:
  std::filesystem::path directory_;
  std::string socket_;
  pid_t pid_ = -1;
};

// Gives up root for good; false if this process may not, or the uid means nothing in its namespace.
bool become_user(uid_t uid, gid_t gid);

// Waits until `condition()` holds; false if it does not within 20 s, which no working machine takes.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(500);
  }
  return true;
}

// Runs `body` in a forked child and returns waitpid's status. The child never returns here.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      code = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in a child: %s\n", error.what());
    }
    ::_exit(code);  // no destructors of the test's own objects, no Catch2 report
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace tensord::test
