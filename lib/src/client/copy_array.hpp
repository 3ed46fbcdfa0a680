// copy_array: an Array into the place of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tensord/array.hpp>

namespace tensord::client {

// Copies the elements of `array` to `destination`, whose strides are `strides` (elements, positive).
// REQUIRES: array is one that protocol::make_packed_spec() takes.
void copy_array(std::byte* destination, std::span<const std::int64_t> strides, const Array& array);

}  // namespace tensord::client
