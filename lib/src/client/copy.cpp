// A large copy is cut into slices at round addresses of the destination, so that no two threads meet in a
// page, and in a segment each slice is written as its own pages ask for: one copy may meet all states.
#include "client/copy.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>

#include "client/copy_workers.hpp"
#include "client/streaming_copy.hpp"
#include "os/pages.hpp"

namespace tensord::client {
namespace {

using Who = CopyWorkers::Who;
using Pages = PageState::Pages;

// One thread's turn: 50 us to some 300 us. A huge page, so that two threads never wait for the same one.
constexpr std::size_t kSliceBytes = os::kHugePageBytes;
// Below this many bytes faults one by one cost less than a system call for all of them.
constexpr std::size_t kPopulateBytes = 4 * PageState::kPageBytes;

enum class Stores { kCached, kStreaming };

Stores stores_for(std::size_t size_bytes) {
  return size_bytes >= kStreamingCopyBytes ? Stores::kStreaming : Stores::kCached;
}

void copy_mapped(std::byte* destination, const std::byte* source, std::size_t size_bytes, Stores stores) {
  if (stores == Stores::kStreaming) {
    copy_streaming(destination, source, size_bytes);
  } else {
    std::memcpy(destination, source, size_bytes);
  }
}

// Calls copy(destination, source, size_bytes, who) for all slices.
template <class Copy>
void share_slices(std::byte* destination, const std::byte* source, std::size_t size_bytes, const Copy& copy) {
  // The first slice ends where the address is round.
  const std::size_t before = reinterpret_cast<std::uintptr_t>(destination) % kSliceBytes;
  const std::size_t count = (before + size_bytes + kSliceBytes - 1) / kSliceBytes;
  CopyWorkers::of_this_process().share(count, [&](std::size_t slice, Who who) {
    const std::size_t begin = slice == 0 ? 0 : slice * kSliceBytes - before;
    const std::size_t end = std::min((slice + 1) * kSliceBytes - before, size_bytes);
    copy(destination + begin, source + begin, end - begin, who);
  });
}

// Whether nobody has touched this private memory yet. Of shared memory the kernel says what others touched,
// too.
bool is_untouched(std::byte* memory, std::size_t size_bytes) {
  static const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (const std::size_t eighth : {1, 4, 7}) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory) + size_bytes / 8 * eighth;
    unsigned char present = 0;
    if (::mincore(reinterpret_cast<void*>(address / page_bytes * page_bytes), page_bytes, &present) != 0) {
      return false;
    }
    if ((present & 1) != 0) return false;
  }
  return true;
}

// False if the kernel did not take all of it: then part of it is written.
bool write_all(int descriptor, std::size_t offset_bytes, const std::byte* source, std::size_t size_bytes) {
  while (size_bytes > 0) {
    const ssize_t wrote = ::pwrite(descriptor, source, size_bytes, static_cast<off_t>(offset_bytes));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    source += wrote, offset_bytes += static_cast<std::size_t>(wrote),
        size_bytes -= static_cast<std::size_t>(wrote);
  }
  return true;
}

void copy_to_pages(PageState& pages, std::byte* destination, const std::byte* source, std::size_t size_bytes,
                   Stores stores, Who who) {
  const std::size_t offset = pages.offset_of(destination);
  const Pages before = pages.of(offset, size_bytes);
  if (before == Pages::kAbsent && who == Who::kCaller &&
      write_all(pages.descriptor(), offset, source, size_bytes)) {
    pages.set(offset, size_bytes, Pages::kWritten);
    return;
  }
  if (before != Pages::kMapped) {
    if (size_bytes >= kPopulateBytes) os::populate(std::span(destination, size_bytes));
    pages.set(offset, size_bytes, Pages::kMapped);
  }
  copy_mapped(destination, source, size_bytes, stores);
}

}  // namespace

void copy_bytes(void* destination, const void* source, std::size_t size_bytes) {
  if (size_bytes == 0) return;  // the source of an empty tensor may be null
  auto* const to = static_cast<std::byte*>(destination);
  const auto* const from = static_cast<const std::byte*>(source);
  if (size_bytes < kSharedCopyBytes) {
    std::memcpy(to, from, size_bytes);
    return;
  }
  const Stores stores = is_untouched(to, size_bytes) ? Stores::kCached : stores_for(size_bytes);
  share_slices(to, from, size_bytes, [&](std::byte* slice, const std::byte* bytes, std::size_t size, Who) {
    copy_mapped(slice, bytes, size, stores);
  });
}

void copy_bytes(const Destination& place, const void* source, std::size_t size_bytes) {
  // Less than a page shares its page with others, who have touched it.
  if (place.pages == nullptr || size_bytes < PageState::kPageBytes) {
    copy_bytes(static_cast<void*>(place.data), source, size_bytes);
    return;
  }
  PageState& pages = *place.pages;
  const auto* const from = static_cast<const std::byte*>(source);
  const std::size_t offset = pages.offset_of(place.data);
  if (pages.of(offset, size_bytes) == Pages::kAbsent) pages.find_huge_pages(offset, size_bytes);
  const bool absent = pages.of(offset, size_bytes) == Pages::kAbsent;
  const Stores stores = stores_for(size_bytes);
  if (size_bytes < (absent ? kSharedFillBytes : kSharedCopyBytes)) {
    copy_to_pages(pages, place.data, from, size_bytes, stores, Who::kCaller);
    return;
  }
  share_slices(place.data, from, size_bytes,
               [&](std::byte* slice, const std::byte* bytes, std::size_t size, Who who) {
                 copy_to_pages(pages, slice, bytes, size, stores, who);
               });
}

}  // namespace tensord::client
