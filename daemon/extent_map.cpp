// Two indexes over one set of extents: by offset, to find the neighbours of what is freed, and by
// (size, offset), whose order is best fit with the lowest address first. insert() and erase() are
// the only places that touch them, so they cannot come apart.
#include "extent_map.hpp"

#include <bit>
#include <cassert>
#include <iterator>

namespace tensord::daemon {
namespace {

// An extent that is large enough may still be too short once its start is aligned. Pages among
// cache lines make many such extents, all barely larger than what is asked. After this many of
// them the search goes on at the size from which alignment cannot matter, and comes back for the
// tight ones only if there is nothing of that size.
constexpr int kMaxMisfits = 32;

constexpr std::uint64_t kMaxSegmentBytes = std::uint64_t{1} << 62;
constexpr std::uint64_t kMaxPrefixBytes = 1u << 16;

// The lowest offset >= `offset` whose prefix ends on the alignment.
std::uint64_t align_after_prefix(std::uint64_t offset, std::uint64_t alignment, std::uint64_t prefix_bytes) {
  return ((offset + prefix_bytes + alignment - 1) & ~(alignment - 1)) - prefix_bytes;
}

}  // namespace

ExtentMap::ExtentMap(std::uint64_t size_bytes) : size_bytes_(size_bytes) {
  assert(size_bytes > 0 && size_bytes <= kMaxSegmentBytes);
  insert(0, size_bytes);
}

std::optional<ExtentMap::Fit> ExtentMap::find(std::uint64_t size_bytes, std::uint64_t alignment,
                                              std::uint64_t prefix_bytes) const {
  assert(size_bytes > 0 && std::has_single_bit(alignment) && prefix_bytes <= kMaxPrefixBytes);
  // What is larger than the segment ends here, so that nothing below can overflow.
  if (size_bytes > size_bytes_) return std::nullopt;

  const auto fit_in = [&](const std::pair<std::uint64_t, std::uint64_t>& extent) -> std::optional<Fit> {
    const auto [hole_bytes, start] = extent;
    const std::uint64_t offset = align_after_prefix(start, alignment, prefix_bytes);
    const std::uint64_t lost = offset - start;
    if (lost > hole_bytes || hole_bytes - lost < size_bytes) return std::nullopt;
    return Fit{offset, hole_bytes};
  };

  int misfits = 0;
  auto extent = by_size_.lower_bound({size_bytes, 0});
  for (; extent != by_size_.end() && misfits < kMaxMisfits; ++extent, ++misfits) {
    if (const auto fit = fit_in(*extent)) return fit;
  }
  if (extent == by_size_.end()) return std::nullopt;
  if (const auto roomy = by_size_.lower_bound({size_bytes + alignment - 1, 0}); roomy != by_size_.end()) {
    return fit_in(*roomy);
  }
  for (; extent != by_size_.end(); ++extent) {
    if (const auto fit = fit_in(*extent)) return fit;
  }
  return std::nullopt;
}

void ExtentMap::take(std::uint64_t offset, std::uint64_t size_bytes) {
  auto extent = by_offset_.upper_bound(offset);
  assert(extent != by_offset_.begin() && "taking a range that is not free");
  --extent;
  const auto [start, hole_bytes] = *extent;
  const std::uint64_t before = offset - start;
  assert(size_bytes > 0 && before <= hole_bytes && size_bytes <= hole_bytes - before &&
         "taking a range that is not free");
  const std::uint64_t after = hole_bytes - before - size_bytes;
  erase(extent);
  if (before > 0) insert(start, before);
  if (after > 0) insert(offset + size_bytes, after);
}

bool ExtentMap::is_free(std::uint64_t offset, std::uint64_t size_bytes) const {
  auto extent = by_offset_.upper_bound(offset);
  if (size_bytes == 0 || extent == by_offset_.begin()) return false;
  --extent;
  const std::uint64_t before = offset - extent->first;
  return before <= extent->second && size_bytes <= extent->second - before;
}

std::optional<std::uint64_t> ExtentMap::allocate(std::uint64_t size_bytes, std::uint64_t alignment,
                                                 std::uint64_t prefix_bytes) {
  const auto fit = find(size_bytes, alignment, prefix_bytes);
  if (!fit) return std::nullopt;
  take(fit->offset, size_bytes);
  return fit->offset;
}

void ExtentMap::free(std::uint64_t offset, std::uint64_t size_bytes) {
  assert(size_bytes > 0 && offset < size_bytes_ && size_bytes <= size_bytes_ - offset &&
         "freeing a range outside of the segment");
  std::uint64_t start = offset;
  std::uint64_t end = offset + size_bytes;
  const auto next = by_offset_.lower_bound(offset);
  if (next != by_offset_.begin()) {
    const auto previous = std::prev(next);
    assert(previous->first + previous->second <= offset && "freeing a range that is free");
    if (previous->first + previous->second == offset) {
      start = previous->first;
      erase(previous);
    }
  }
  if (next != by_offset_.end()) {
    assert(end <= next->first && "freeing a range that is free");
    if (next->first == end) {
      end += next->second;
      erase(next);
    }
  }
  insert(start, end - start);
}

std::uint64_t ExtentMap::largest_free_bytes() const {
  return by_size_.empty() ? 0 : by_size_.rbegin()->first;
}

void ExtentMap::insert(std::uint64_t offset, std::uint64_t size_bytes) {
  by_offset_.emplace(offset, size_bytes);
  by_size_.emplace(size_bytes, offset);
  free_bytes_ += size_bytes;
}

void ExtentMap::erase(std::map<std::uint64_t, std::uint64_t>::iterator extent) {
  by_size_.erase({extent->second, extent->first});
  free_bytes_ -= extent->second;
  by_offset_.erase(extent);
}

}  // namespace tensord::daemon
