// Arrays: making NumPy arrays, by NumPy's C interface, as pybind11 finds it at run time.
#pragma once

#include <pybind11/pybind11.h>

#include "elements.hpp"

namespace tensord::python {

// An array over `elements` that keeps `owner`; writeable if they are.
[[nodiscard]] pybind11::object array_over(const Elements& elements, pybind11::object owner);

struct NewArray {
  pybind11::object array;
  std::byte* data = nullptr;
};
// A new C-contiguous array of this dtype and shape, its elements not yet set.
[[nodiscard]] NewArray new_array(DType dtype, std::span<const std::int64_t> shape);

// numpy.asarray(object): an array over the object's memory where it has any.
[[nodiscard]] pybind11::object as_array(pybind11::handle object);

}  // namespace tensord::python
