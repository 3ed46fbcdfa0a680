// read(): what clone() copies, with the number of its version, into memory that the caller may bring along.
#include <pybind11/numpy.h>

#include <cstddef>
#include <string>
#include <utility>

#include <tensord/layout.hpp>

#include "dtypes.hpp"
#include "no_gil.hpp"
#include "numpy_array.hpp"
#include "records.hpp"
#include "shape_tuple.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

// Where the elements of `view` go in `out`. Throws InvalidArgumentError if they would not fit it exactly.
std::byte* destination_in(py::handle out, const View& view) {
  const auto refuse = [&](const std::string& what) {
    return InvalidArgumentError("out is " + what + "; for the tensor '" + std::string(view.name()) +
                                "' it is a writable C-contiguous ndarray of dtype " +
                                std::string(dtype_name(view.dtype())) + " and shape " +
                                py::repr(shape_tuple(view.shape())).cast<std::string>());
  };
  if (!py::isinstance<py::array>(out))
    throw refuse("no ndarray but a " + std::string(Py_TYPE(out.ptr())->tp_name));
  const auto array = py::reinterpret_borrow<py::array>(out);
  if (!array.dtype().equal(numpy_descr(view.dtype()))) {
    throw refuse("of dtype " + py::str(array.dtype()).cast<std::string>());
  }
  if (!py::object(out.attr("shape")).equal(shape_tuple(view.shape()))) {
    throw refuse("of shape " + py::repr(out.attr("shape")).cast<std::string>());
  }
  if ((array.flags() & py::array::c_style) == 0) throw refuse("not C-contiguous");
  if (!array.writeable()) throw refuse("read-only");
  return reinterpret_cast<std::byte*>(py::detail::array_proxy(array.ptr())->data);
}

}  // namespace

py::object PyView::read(py::handle out, std::chrono::nanoseconds timeout) {
  const py::object lease = this->lease();  // another thread may close this view while we copy
  const View& view = published();
  NewArray copy;
  if (out.is_none()) {
    copy = new_array(view.dtype(), view.shape(), c_strides(view.shape()));
  } else {
    copy = {py::reinterpret_borrow<py::object>(out), destination_in(out, view)};
  }
  std::uint64_t version = 0;
  {
    const NoGil no_gil;
    version = view.read({copy.data, view.size_bytes()}, timeout);
  }
  bytes_copied_ += view.size_bytes();
  return to_snapshot(std::move(copy.array), version);
}

}  // namespace tensord::python
