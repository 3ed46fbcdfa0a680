// shape_tuple: a shape or strides as Python's tuple of numbers.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>

namespace tensord::python {

[[nodiscard]] inline pybind11::tuple shape_tuple(std::span<const std::int64_t> values) {
  pybind11::tuple tuple(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) tuple[i] = pybind11::int_(values[i]);
  return tuple;
}

}  // namespace tensord::python
