// copy_array: an Array into the place of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tensord/array.hpp>

#include "client/copy.hpp"

namespace tensord::client {

// Copies the elements of `array` to `place`, where they get the strides `strides` (elements, positive).
// REQUIRES: array is one that protocol::make_packed_spec() takes.
void copy_array(const Destination& place, std::span<const std::int64_t> strides, const Array& array);

}  // namespace tensord::client
