// Arrays: making NumPy arrays, by NumPy's C interface, as pybind11 finds it at run time.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "elements.hpp"

namespace tensord::python {

// An array over `elements` that keeps `owner`; writeable if they are.
[[nodiscard]] pybind11::object array_over(const Elements& elements, pybind11::object owner);

struct NewArray {
  pybind11::object array;
  std::byte* data = nullptr;
};
// A new array of this dtype, shape and dense strides, its elements not yet set.
[[nodiscard]] NewArray new_array(DType dtype, std::span<const std::int64_t> shape,
                                 std::span<const std::int64_t> strides);

// numpy.asarray(object): an array over the object's memory where it has any.
[[nodiscard]] pybind11::object as_array(pybind11::handle object);

// The strides of an array in elements; NumPy counts bytes. Nothing if a stride that is taken ends within
// an element: in a field of a structured array, say.
[[nodiscard]] std::optional<std::vector<std::int64_t>> strides_in_elements(const pybind11::array& array);

}  // namespace tensord::python
