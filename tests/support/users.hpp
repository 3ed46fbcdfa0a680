// Users: what becomes of something that is tried in a process of another user. Only root can become others.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>

#include <tensord/error.hpp>

#include "daemon_process.hpp"

namespace tensord::test {

struct User {
  uid_t uid;
  gid_t gid;
};
// No account needs to exist: the kernel and the daemon know numbers only.
inline constexpr User kAlice{60'001, 60'001}, kBob{60'002, 60'002}, kServer{60'003, 60'003};

inline bool become(User user) { return become_user(user.uid, user.gid); }

struct Outcome {
  Errc code = Errc::kOk;
  std::string text;  // empty when all went well
};

// What became of `body` in a process of this user: the Error that it threw, or another exception as
// kInternal.
inline Outcome as_user(User user, const std::function<void()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) return {Errc::kInternal, "there is no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    Outcome outcome;
    try {
      if (!become(user)) throw std::runtime_error("cannot become another user");
      body();
    } catch (const Error& error) {
      outcome = {error.code(), error.what()};
    } catch (const std::exception& error) {
      outcome = {Errc::kInternal, error.what()};
    }
    (void)!::write(ends[1], &outcome.code, sizeof outcome.code);
    (void)!::write(ends[1], outcome.text.data(), outcome.text.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  Outcome outcome;
  const bool has_ended_well = ::read(ends[0], &outcome.code, sizeof outcome.code) == sizeof outcome.code;
  char chunk[512];
  for (ssize_t size; (size = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
    outcome.text.append(chunk, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return has_ended_well ? outcome : Outcome{Errc::kInternal, "the process died"};
}

// For use in such a process, where the test's own assertions mean nothing.
inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

inline bool may_become_others() {
  return in_child([] { return become(kAlice) ? 0 : 1; }) == 0;
}

}  // namespace tensord::test

#define SKIP_UNLESS_ROOT()                                                        \
  if (!tensord::test::may_become_others()) {                                      \
    WARN("skipped: only root can become the several users that this test needs"); \
    return;                                                                       \
  }
