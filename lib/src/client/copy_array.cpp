#include "client/copy_array.hpp"

#include <tensord/layout.hpp>

#include "client/strided_copy.hpp"

namespace tensord::client {

void copy_array(std::byte* destination, std::span<const std::int64_t> strides, const Array& array) {
  const Strides in_order = c_strides(array.shape);
  copy_strided(destination, strides, static_cast<const std::byte*>(array.data),
               array.strides.empty() ? in_order.span() : array.strides, array.shape, array.dtype.itemsize());
}

}  // namespace tensord::client
