// Array: elements somewhere in memory, to be copied into the store. Borrows everything it points to.
//
//   store.put("m", tensord::Array{tensord::kFloat32, shape, strides, pointer});
#pragma once

#include <cstdint>
#include <span>

#include <tensord/dtype.hpp>

namespace tensord {

struct Array {
  DType dtype{};
  std::span<const std::int64_t> shape{};    // elements along each dimension
  std::span<const std::int64_t> strides{};  // elements; any sign, or 0; none at all: C order
  const void* data = nullptr;               // the element of index (0, ..., 0)
};

}  // namespace tensord
