// Pages: what the kernel puts behind a mapping, and when.
//
// A huge page of shared memory saves 511 page faults of 512 in every process that maps it, but only
// where the mapping lies as the page does: its address and its offset in the memfd must be the same
// distance from a multiple of 2 MiB. The kernel sees to that only if an administrator has set
// shmem_enabled, so map() does.
// Fails   map() with std::system_error or boost::interprocess::interprocess_exception. The others are
//         wishes: a kernel that does not know them, or has no huge page to give, leaves the memory as it is.
// Threads any; who reads or writes the memory meanwhile notices nothing.
#pragma once

#include <cstddef>
#include <span>

#include <boost/interprocess/mapped_region.hpp>

#include "os/memfd.hpp"

namespace tensord::os {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Maps a range of a memfd; a size of 0 means to its end.
[[nodiscard]] boost::interprocess::mapped_region map(const Memfd& memfd, boost::interprocess::mode_t mode,
                                                     std::size_t offset_bytes = 0,
                                                     std::size_t size_bytes = 0);

// Puts huge pages behind the 2 MiB pieces that lie wholly inside `memory`, a writable shared mapping made
// by map(); holes become zeroes. Stops at the first piece that gets none. Returns the bytes of those before.
std::size_t make_huge(std::span<std::byte> memory) noexcept;

// Whether this kernel gives this process huge pages for shared memory: it tries one.
[[nodiscard]] bool grants_huge_pages() noexcept;

// Maps the pages of `memory` into this process now, so that touching them costs no page fault later.
// Changes no byte. REQUIRES: a shared mapping with memory behind it.
void populate(std::span<const std::byte> memory) noexcept;

}  // namespace tensord::os
