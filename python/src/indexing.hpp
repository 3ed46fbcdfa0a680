// Indexing: what `view[...]` means, as the layout of a sub-view.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tensord::python {

// Elements of another layout: `offset` elements from its first one.
struct SubLayout {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // elements
  std::int64_t offset = 0;
};

// Whole numbers, slices with positive steps, `...` and None, alone or in a tuple, with NumPy's meaning.
// Throws OutOfRangeError (an IndexError) for what the shape does not have, and WouldCopyError, which names
// the ways out, for what only a copy could give: negative steps, masks and arrays of indices.
[[nodiscard]] SubLayout index_layout(std::span<const std::int64_t> shape,
                                     std::span<const std::int64_t> strides, pybind11::handle key);

}  // namespace tensord::python
