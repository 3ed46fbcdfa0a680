// Spin: looking at memory for a short while before one goes to sleep.
//
// To be woken costs 28 to 45 us, to see a word change some 60 ns (limits.md). Who spins for about as long as
// a wake-up takes loses at most as much again by it, whatever comes.
//
// Threads  any.
#pragma once

#include <chrono>

#include "os/cpu.hpp"

namespace tensord::client {

// About one wake-up.
inline constexpr std::chrono::nanoseconds kSpin = std::chrono::microseconds(50);

// Whether done() became true within that time. Where nobody else can run meanwhile it looks once.
template <class Done>
[[nodiscard]] bool spin(Done&& done, std::chrono::nanoseconds limit = kSpin) {
  constexpr int kLooksPerClock = 32;  // reading the clock costs as much as a few looks
  if (done()) return true;
  if (os::only_one_cpu()) return false;
  const auto look_around = [&] {
    for (int look = 0; look < kLooksPerClock; ++look) {
      if (done()) return true;
      os::relax();
    }
    return false;
  };
  // The clock after the first looks: most of what is waited for comes within them.
  if (look_around()) return true;
  const auto until = std::chrono::steady_clock::now() + limit;
  do {
    if (look_around()) return true;
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

}  // namespace tensord::client
