// Page faults of the calling thread, counted.
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <span>

namespace tensord::test {

// Under AddressSanitizer every access touches shadow memory, too, so there the counts tell nothing, and what
// is checked of them is left out.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kPageFaultsTell = false;
#else
inline constexpr bool kPageFaultsTell = true;
#endif

inline long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

// Those of reading one byte of each page.
inline long faults_of_touching(std::span<const std::byte> memory) {
  const long before = page_faults();
  for (std::size_t at = 0; at < memory.size(); at += 4096) {
    static_cast<void>(*const_cast<const volatile std::byte*>(&memory[at]));
  }
  return page_faults() - before;
}

// Whether one attempt of some costs no fault at all. `attempt` says what it cost, each time on memory that is
// mapped anew: now and then a page of the program's own is taken away (reclaim, compaction), and comes back
// just then.
template <typename Attempt>
bool costs_no_fault(Attempt attempt) {
  for (int attempts = 0; attempts < 5; ++attempts) {
    const long faults = attempt();
    if (faults == 0 || !kPageFaultsTell) return true;
  }
  return false;
}

}  // namespace tensord::test
