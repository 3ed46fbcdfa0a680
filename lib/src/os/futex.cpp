#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace tensord::os {

FutexWait futex_wait(const void* word, std::uint32_t expected, std::chrono::nanoseconds timeout) noexcept {
  constexpr std::int64_t kSecond_ns = 1'000'000'000;
  const std::int64_t ns = timeout.count() > 0 ? timeout.count() : 0;
  const timespec relative{static_cast<time_t>(ns / kSecond_ns), static_cast<long>(ns % kSecond_ns)};
  // Not FUTEX_PRIVATE: the other side is another process.
  if (::syscall(SYS_futex, word, FUTEX_WAIT, expected, &relative, nullptr, 0) == 0)
    return FutexWait::kLookAgain;
  if (errno == ETIMEDOUT) return FutexWait::kTimedOut;
  if (errno == EINTR) return FutexWait::kInterrupted;
  return FutexWait::kLookAgain;
}

bool futex_wake_all(const void* word) noexcept {
  return ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0) > 0;
}

}  // namespace tensord::os
