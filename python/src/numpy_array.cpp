#include "numpy_array.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <array>
#include <utility>

#include <tensord/layout.hpp>

#include "dtypes.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

using npy = py::detail::npy_api;
static_assert(sizeof(Py_intptr_t) == sizeof(std::int64_t));

py::object make_array(const npy& numpy, DType dtype, std::span<const std::int64_t> shape,
                      std::span<const std::int64_t> strides, void* data, int flags) {
  // Unsigned, as strides that are never taken may be any.
  std::array<Py_intptr_t, kMaxDims> steps;  // bytes
  std::ranges::transform(strides, steps.begin(), [&](std::int64_t stride) {
    return static_cast<Py_intptr_t>(static_cast<std::uint64_t>(stride) * dtype.itemsize());
  });
  // NewFromDescr takes over one reference to the descriptor, also when it fails.
  PyObject* const descr = numpy_descr(dtype).inc_ref().ptr();
  PyObject* const array =
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descr, static_cast<int>(shape.size()),
                                  reinterpret_cast<const Py_intptr_t*>(shape.data()),
                                  strides.empty() ? nullptr : steps.data(), data, flags, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

}  // namespace

py::object array_over(const Elements& elements, py::object owner) {
  const npy& numpy = npy::get();
  py::object array = make_array(numpy, elements.dtype, elements.shape, elements.strides, elements.data,
                                elements.writable ? npy::NPY_ARRAY_WRITEABLE_ : 0);
  if (numpy.PyArray_SetBaseObject_(array.ptr(), owner.release().ptr()) != 0) throw py::error_already_set();
  return array;
}

NewArray new_array(DType dtype, std::span<const std::int64_t> shape, std::span<const std::int64_t> strides) {
  py::object array = make_array(npy::get(), dtype, shape, strides, nullptr, 0);
  auto* const data = reinterpret_cast<std::byte*>(py::detail::array_proxy(array.ptr())->data);
  return {std::move(array), data};
}

std::optional<std::vector<std::int64_t>> strides_in_elements(const py::array& array) {
  const py::ssize_t itemsize = std::max<py::ssize_t>(array.itemsize(), 1);
  std::vector<std::int64_t> strides;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    const bool whole = array.strides(i) % itemsize == 0;
    const bool taken = array.size() != 0 && array.shape(i) != 1;
    if (!whole && taken) return std::nullopt;
    strides.push_back(whole ? array.strides(i) / itemsize : 0);
  }
  return strides;
}

py::object as_array(py::handle object) { return py::module_::import("numpy").attr("asarray")(object); }

}  // namespace tensord::python
