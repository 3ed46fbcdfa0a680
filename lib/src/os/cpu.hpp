// Which processor a thread runs on, how it gets to another, and how it waits there.
#pragma once

#include <cstdint>

namespace tensord::os {

// The processor of the calling thread, now.
[[nodiscard]] std::uint32_t this_cpu();

// Whether this process had one processor to run on when it was first asked: then who spins keeps from running
// whom he waits for.
[[nodiscard]] bool only_one_cpu();

// Moves the calling thread to any processor but `cpu`, if it may run on another. It may move back later.
void leave_cpu(std::uint32_t cpu);

// One turn of a loop that does nothing but look at memory.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

}  // namespace tensord::os
