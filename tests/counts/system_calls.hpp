// CountedSystemCalls: counts what a process asks of the kernel. A seccomp filter traps every system call of
// the calling thread; the handler counts it and makes it. Limit    x86-64; the thread stays so until the
// process ends, so this is for child processes.
//
// Threads  the one that called begin_counting_system_calls().
#pragma once

#include <cstdint>

namespace tensord::test {

struct SystemCalls {
  // write, with which the bell is rung; futex, on which one sleeps; poll, which before that looks for a
  // hang-up.
  std::uint64_t wake_ups = 0;
  std::uint64_t others = 0;
  long last_other = -1;  // its number
};

// From now on they are counted, in the object returned. Throws std::system_error.
const SystemCalls& begin_counting_system_calls();

}  // namespace tensord::test
