#include "client/copy_array.hpp"

#include <tensord/layout.hpp>

#include "client/strided_copy.hpp"

namespace tensord::client {
namespace {

// Whether both layouts put every element at the same distance from the first.
bool lie_alike(std::span<const std::int64_t> shape, std::span<const std::int64_t> some,
               std::span<const std::int64_t> others) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && some[i] != others[i]) return false;
  }
  return true;
}

}  // namespace

void copy_array(const Destination& place, std::span<const std::int64_t> strides, const Array& array) {
  const Strides in_order = c_strides(array.shape);
  const std::span<const std::int64_t> from = array.strides.empty() ? in_order.span() : array.strides;
  const std::size_t itemsize = array.dtype.itemsize();
  if (lie_alike(array.shape, strides, from) && is_dense(array.shape, strides)) {
    copy_bytes(place, array.data, static_cast<std::size_t>(count_elements(array.shape)) * itemsize);
  } else {
    copy_strided(place.data, strides, static_cast<const std::byte*>(array.data), from, array.shape, itemsize);
  }
}

}  // namespace tensord::client
