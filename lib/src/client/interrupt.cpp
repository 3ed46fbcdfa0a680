#include "client/interrupt.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace tensord::client {
namespace {

std::function<void()>& check() {
  static auto& check = *new std::function<void()>;
  return check;
}

}  // namespace

void set_interrupt_check(std::function<void()> function) { check() = std::move(function); }

void check_interrupt() {
  if (check()) check()();
}

bool poll_until(int fd, short events, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  pollfd polled{fd, events, 0};
  const Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready >= 0) return ready > 0;
    check_interrupt();
  }
}

}  // namespace tensord::client
