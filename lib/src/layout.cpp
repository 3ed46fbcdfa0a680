#include <tensord/layout.hpp>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace tensord {
namespace {

using Values = std::span<const std::int64_t>;

constexpr std::int64_t kTooMany = std::numeric_limits<std::int64_t>::max();

bool has_no_elements(Values shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kTooMany : product;
}

std::uint64_t magnitude(std::int64_t stride) {
  return stride < 0 ? -static_cast<std::uint64_t>(stride) : static_cast<std::uint64_t>(stride);
}

// Dimensions by their numbers, innermost first.
struct Order {
  std::array<int, kMaxDims> dims{};
  int ndim = 0;
};

Order c_order(std::size_t ndim) {
  Order order;
  order.ndim = static_cast<int>(ndim);
  std::iota(order.dims.rend() - order.ndim, order.dims.rend(), 0);
  return order;
}

// An insertion sort rather than std::sort, because a stride of 0 compares as "either way" with all
// others: that is no ordering, and the places that such dimensions end up at are torch's only by
// torch's algorithm (infer_dense_strides of ATen).
Order memory_order(Values shape, Values strides) {
  Order order = c_order(shape.size());
  for (int i = 1; i < order.ndim; ++i) {
    int moving = i;
    for (int at = i - 1; at >= 0; --at) {
      const int inner = order.dims[at];
      const int outer = order.dims[moving];
      const std::uint64_t inner_stride = magnitude(strides[inner]);
      const std::uint64_t outer_stride = magnitude(strides[outer]);
      if (inner_stride == 0 || outer_stride == 0) continue;
      if (inner_stride < outer_stride) break;
      if (inner_stride > outer_stride || shape[inner] > shape[outer]) {
        std::swap(order.dims[at], order.dims[moving]);
        moving = at;
      }
    }
  }
  return order;
}

Strides strides_in_order(Values shape, const Order& order) {
  Strides strides;
  strides.ndim = shape.size();
  std::int64_t stride = 1;
  for (int i = 0; i < order.ndim; ++i) {
    const int dim = order.dims[i];
    strides.values[dim] = stride;
    stride = times(stride, std::max<std::int64_t>(shape[dim], 1));
  }
  return strides;
}

}  // namespace

std::int64_t count_elements(Values shape) {
  if (has_no_elements(shape)) return 0;
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, times);
}

bool is_contiguous(Values shape, Values strides) {
  if (strides.empty() || has_no_elements(shape)) return true;
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (strides[i] != expected) return false;
    expected = times(expected, shape[i]);
  }
  return true;
}

bool is_dense(Values shape, Values strides) {
  if (strides.empty() || has_no_elements(shape)) return true;
  std::array<std::pair<std::int64_t, std::int64_t>, kMaxDims> dims;  // stride, extent
  std::size_t count = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1) dims[count++] = {strides[i], shape[i]};
  }
  std::sort(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(count));
  std::int64_t expected = 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (dims[i].first != expected) return false;
    expected = times(expected, dims[i].second);
  }
  return true;
}

Strides c_strides(Values shape) { return strides_in_order(shape, c_order(shape.size())); }

Strides packed_strides(Values shape, Values strides) {
  Strides packed = c_strides(shape);
  if (strides.empty() || has_no_elements(shape)) return packed;
  if (!is_dense(shape, strides)) return strides_in_order(shape, memory_order(shape, strides));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (strides[i] > 0) packed.values[i] = strides[i];
  }
  return packed;
}

}  // namespace tensord
