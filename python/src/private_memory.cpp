#include "private_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace tensord::python {
namespace {

constexpr std::align_val_t kAlignment{256};
constexpr std::align_val_t kHugePage{std::size_t{2} << 20};
// Below this, rounding up to whole huge pages would take more memory than it saves time. NumPy's limit, too.
constexpr std::size_t kHugeFromBytes = std::size_t{4} << 20;

}  // namespace

PrivateMemory make_private_memory(std::size_t size_bytes) {
  const std::align_val_t alignment = size_bytes < kHugeFromBytes ? kAlignment : kHugePage;
  PrivateMemory memory(
      static_cast<std::byte*>(::operator new(std::max<std::size_t>(size_bytes, 1), alignment)), {alignment});
  if (alignment == kHugePage) {
    const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    // A wish: kernels that have none, or are told to give none, refuse.
    ::madvise(memory.get(), size_bytes / page_bytes * page_bytes, MADV_HUGEPAGE);
  }
  return memory;
}

}  // namespace tensord::python
