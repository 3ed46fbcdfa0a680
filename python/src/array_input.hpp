// ArrayInput: what put() copies from, whatever the user gave: an array, a torch tensor, a DLPack or
// buffer producer, a View, a number, a list.
//
// Owns     a reference to the object that owns the memory; nothing is copied here, unless the object
//          has no memory of its own to read (numbers and lists go through numpy.asarray).
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <tensord/dtype.hpp>

namespace tensord::python {

struct ArrayInput {
  DType dtype{};
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;  // C-contiguous elements
  pybind11::object owner;
};

// Throws UnsupportedTypeError for elements or objects that tensord does not hold, and
// InvalidArgumentError for memory that is not C-contiguous; both say what to do.
[[nodiscard]] ArrayInput read_array(pybind11::handle object);

}  // namespace tensord::python
