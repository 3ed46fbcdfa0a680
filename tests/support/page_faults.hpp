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

// So many may happen without the memory that is looked at: the kernel takes a page of the program's own away
// now and then (reclaim, compaction), which then comes back. Memory that was not populated has sixteen and
// more in these tests.
inline constexpr long kStrayFaults = 3;

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

}  // namespace tensord::test
