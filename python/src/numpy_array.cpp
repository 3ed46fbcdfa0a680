#include "numpy_array.hpp"

#include <pybind11/numpy.h>

#include <array>
#include <utility>

#include "dtypes.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

using npy = py::detail::npy_api;
static_assert(sizeof(Py_intptr_t) == sizeof(std::int64_t));

py::object make_array(const npy& numpy, DType dtype, std::span<const std::int64_t> shape,
                      const Py_intptr_t* strides, void* data, int flags) {
  // NewFromDescr takes over one reference to the descriptor, also when it fails.
  PyObject* const descr = numpy_descr(dtype).inc_ref().ptr();
  PyObject* const array = numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, descr, static_cast<int>(shape.size()),
      reinterpret_cast<const Py_intptr_t*>(shape.data()), strides, data, flags, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

}  // namespace

py::object array_over(const Elements& elements, py::object owner) {
  const npy& numpy = npy::get();
  std::array<Py_intptr_t, kMaxDims> strides;  // bytes
  const bool in_order = is_contiguous(elements.shape, elements.strides);
  if (!in_order) {
    const auto itemsize = static_cast<std::int64_t>(elements.dtype.itemsize());
    for (std::size_t i = 0; i < elements.strides.size(); ++i) strides[i] = elements.strides[i] * itemsize;
  }
  py::object array = make_array(numpy, elements.dtype, elements.shape, in_order ? nullptr : strides.data(),
                                elements.data, elements.writable ? npy::NPY_ARRAY_WRITEABLE_ : 0);
  if (numpy.PyArray_SetBaseObject_(array.ptr(), owner.release().ptr()) != 0) throw py::error_already_set();
  return array;
}

NewArray new_array(DType dtype, std::span<const std::int64_t> shape) {
  py::object array = make_array(npy::get(), dtype, shape, nullptr, nullptr, 0);
  auto* const data = reinterpret_cast<std::byte*>(py::detail::array_proxy(array.ptr())->data);
  return {std::move(array), data};
}

py::object as_array(py::handle object) { return py::module_::import("numpy").attr("asarray")(object); }

}  // namespace tensord::python
