// Futex: sleeping until a 32-bit word in shared memory changes.
//
// The word may lie in a read-only mapping: waiting and waking only read it. Whoever can read it can
// also wake, so every wake-up is a hint, and a waiter looks at the word again.
#pragma once

#include <chrono>
#include <cstdint>

namespace tensord::os {

enum class FutexWait {
  kLookAgain,  // woken, or the word had changed already, or for no reason at all
  kTimedOut,
  kInterrupted,  // by a signal
};

// Sleeps while the 32 bits at `word`, which is aligned to them, are `expected`; for at most `timeout`.
FutexWait futex_wait(const void* word, std::uint32_t expected, std::chrono::nanoseconds timeout) noexcept;

// Wakes everybody who sleeps on the word, in every process. Returns whether somebody did.
bool futex_wake_all(const void* word) noexcept;

}  // namespace tensord::os
