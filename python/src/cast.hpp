// Casting: elements of one dtype into a tensor of another, with nothing in between. NumPy or torch convert,
// each what it made: so put(a, dtype=...) stores what a.astype(dtype) or tensor.to(dtype) would hold.
// Threads  with the GIL, which those libraries release where they can.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <tensord/dtype.hpp>
#include <tensord/layout.hpp>

#include "array_input.hpp"
#include "view.hpp"

namespace tensord::python {

// The dtype of a source, if tensord holds it.
[[nodiscard]] std::optional<DType> held_dtype(const Source& source);

// The layout of a tensor that a source is put into: as Store::put makes it.
struct PackedLayout {
  std::vector<std::int64_t> shape;
  Strides strides{};  // REQUIRES for use: at most kMaxDims dimensions
};
[[nodiscard]] PackedLayout packed_layout(const Source& source);

// Fills a tensor in the making with the elements of `source`, converted to its dtype.
// Throws InvalidArgumentError, with NumPy's or torch's error as its cause, for what they cannot convert;
// UnsupportedTypeError where the dtype is one that they do not know.
void cast_into(PyView& draft, const Source& source);

}  // namespace tensord::python
