// Ranges sorted by where they begin: each either begins before the end of all before it, and joins them, or
// starts anew.
#include "client/overlap.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <tensord/layout.hpp>

namespace tensord::client {
namespace {

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::size_t array = 0;
};

// Unsigned, so that a layout of no real memory gives a wrong answer rather than an overflow.
Range range_of(const Array& array, std::size_t number) {
  const Strides c_order = c_strides(array.shape);
  const auto strides = array.strides.empty() ? c_order.span() : array.strides;
  std::uintptr_t below = 0, above = 0;  // elements, from the one of index 0
  for (std::size_t i = 0; i < array.shape.size(); ++i) {
    const auto steps = static_cast<std::uintptr_t>(array.shape[i] - 1);
    const auto stride = static_cast<std::uintptr_t>(strides[i]);
    (strides[i] < 0 ? below : above) += steps * (strides[i] < 0 ? 0 - stride : stride);
  }
  const auto first = reinterpret_cast<std::uintptr_t>(array.data);
  const std::size_t itemsize = array.dtype.itemsize();
  return {first - below * itemsize, first + (above + 1) * itemsize, number};
}

}  // namespace

std::vector<CommonMemory> find_common_memory(std::span<const Array> arrays) {
  std::vector<Range> ranges;
  ranges.reserve(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (count_elements(arrays[i].shape) > 0) ranges.push_back(range_of(arrays[i], i));
  }
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const Range& a, const Range& b) { return a.begin < b.begin; });

  std::vector<CommonMemory> found;
  for (std::size_t first = 0, next = 0; first < ranges.size(); first = next) {
    std::uintptr_t end = ranges[first].end;
    for (next = first + 1; next < ranges.size() && ranges[next].begin < end; ++next) {
      end = std::max(end, ranges[next].end);
    }
    if (next - first == 1) continue;
    CommonMemory common{
        reinterpret_cast<const std::byte*>(ranges[first].begin), end - ranges[first].begin, {}};
    for (std::size_t i = first; i < next; ++i) common.arrays.push_back(ranges[i].array);
    found.push_back(std::move(common));
  }
  return found;
}

}  // namespace tensord::client
