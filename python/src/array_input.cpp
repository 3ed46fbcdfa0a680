#include "array_input.hpp"

#include <pybind11/numpy.h>

#include <span>
#include <string>
#include <utility>

#include <tensord/error.hpp>

#include "dlpack.hpp"
#include "dtypes.hpp"
#include "elements.hpp"
#include "errors.hpp"
#include "numpy_array.hpp"
#include "shape_tuple.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// A class of a module that may not be imported: then no object is of it.
bool is_instance_of(py::handle object, const char* module, const char* name) {
  const auto modules = py::reinterpret_borrow<py::dict>(PyImport_GetModuleDict());
  if (!modules.contains(module)) return false;
  const py::object found = modules[module];
  return py::hasattr(found, name) && py::isinstance(object, found.attr(name));
}

// `strides` with their unit, as NumPy counts bytes and torch elements.
[[noreturn]] void refuse_layout(std::span<const std::int64_t> shape, py::handle strides, const char* unit,
                                const char* advice) {
  throw InvalidArgumentError(
      "the elements are not C-contiguous (shape " + py::str(shape_tuple(shape)).cast<std::string>() +
      ", strides " + py::str(strides).cast<std::string>() + ' ' + unit + "): put " + advice + " instead");
}

ArrayInput from_numpy(py::handle handle) {
  const auto array = py::reinterpret_borrow<py::array>(handle);
  if (is_instance_of(array, "numpy.ma", "MaskedArray")) {
    throw UnsupportedTypeError(
        "a masked array has two parts, and only the data would be kept: put array.data and "
        "array.mask under two names, or put array.filled(...)");
  }
  ArrayInput input;
  input.dtype = dtype_from_numpy(array.dtype());
  input.shape.assign(array.shape(), array.shape() + array.ndim());
  if ((array.flags() & py::array::c_style) == 0) {
    refuse_layout(input.shape, array.attr("strides"), "bytes", "numpy.ascontiguousarray(array)");
  }
  input.data = static_cast<const std::byte*>(array.data());
  input.owner = array;
  return input;
}

ArrayInput from_dlpack(py::handle producer, const char* advice) {
  dlpack::Imported imported = dlpack::import(producer);
  const dlpack::Tensor& tensor = *imported.tensor;
  if (!is_supported(tensor.dtype)) {
    refuse_dtype("dtype " + (py::hasattr(producer, "dtype")
                                 ? py::str(producer.attr("dtype")).cast<std::string>()
                                 : "(DLPack code " + std::to_string(tensor.dtype.code) + ", " +
                                       std::to_string(tensor.dtype.bits) + " bits)"));
  }
  ArrayInput input;
  input.dtype = tensor.dtype;
  input.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  if (tensor.strides != nullptr) {
    const std::span<const std::int64_t> strides(tensor.strides, static_cast<std::size_t>(tensor.ndim));
    if (!is_contiguous(input.shape, strides)) {
      refuse_layout(input.shape, shape_tuple(strides), "elements", advice);
    }
  }
  if (tensor.data == nullptr && count_elements(input.shape) != 0) {
    throw UnsupportedTypeError(
        "this " + type_name(producer) +
        " has a shape but no elements in memory, as torch's fake tensors: put a real one");
  }
  input.data = static_cast<const std::byte*>(tensor.data) + tensor.byte_offset;
  input.owner = std::move(imported.capsule);
  return input;
}

ArrayInput from_torch(py::handle tensor) {
  const auto layout = py::str(tensor.attr("layout")).cast<std::string>();
  if (layout != "torch.strided") {
    throw UnsupportedTypeError("tensord holds dense tensors; this one has layout " + layout +
                               ": put tensor.to_dense(), or its parts under names of their own");
  }
  if (tensor.attr("device").attr("type").cast<std::string>() != "cpu") {
    throw UnsupportedTypeError("tensord holds tensors of the CPU; this one lies on " +
                               py::str(tensor.attr("device")).cast<std::string>() + ": put tensor.cpu()");
  }
  // Asked by name, as torch exports some that it holds by another type: int4 as int8.
  const py::object torch_dtype = tensor.attr("dtype");
  const auto dtype = dtype_from_torch(torch_dtype);
  if (!dtype) {
    refuse_dtype("dtype " + py::str(torch_dtype).cast<std::string>(),
                 tensor.attr("is_quantized").cast<bool>()
                     ? "put tensor.int_repr(), and keep scale and zero point beside it"
                     : "convert with tensor.to(...), or put the bytes, tensor.view(torch.uint8)");
  }
  // torch.conj() and the like are lazy: a bit, not bytes.
  py::object plain = tensor.attr("detach")().attr("resolve_conj")().attr("resolve_neg")();
  try {
    if (goes_to_torch_as_bytes(*dtype))
      plain = plain.attr("view")(py::module_::import("torch").attr("uint8"));
    ArrayInput input = from_dlpack(plain, "tensor.contiguous()");
    input.dtype = *dtype;
    return input;
  } catch (py::error_already_set& error) {
    // Tensors without memory of their own, of a tracer say, refuse in errors of several classes.
    raise_from_current(error, Errc::kUnsupportedType,
                       "torch cannot hand out this tensor of dtype " +
                           py::str(tensor.attr("dtype")).cast<std::string>() + ": " + error.what());
  }
}

ArrayInput from_view(const PyView& view) {
  const Elements elements = view.elements();
  ArrayInput input;
  input.dtype = elements.dtype;
  input.shape.assign(elements.shape.begin(), elements.shape.end());
  if (!is_contiguous(elements.shape, elements.strides)) {
    refuse_layout(input.shape, view.strides(), "elements", "view.clone()");
  }
  input.data = elements.data;
  input.owner = view.lease();
  return input;
}

// Numbers, nested lists, and objects with NumPy's __array__ protocols.
ArrayInput through_numpy(py::handle object) {
  py::object array;
  try {
    array = as_array(object);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    raise_from_current(error, Errc::kInvalidArgument,
                       "numpy.asarray makes no array of this " + type_name(object) + ": " + error.what());
  }
  return from_numpy(array);
}

bool is_plain_python(py::handle object) {
  return PyLong_Check(object.ptr()) || PyFloat_Check(object.ptr()) || PyComplex_Check(object.ptr()) ||
         PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

}  // namespace

ArrayInput read_array(py::handle object) {
  if (py::isinstance<py::array>(object)) return from_numpy(object);
  if (is_instance_of(object, "torch", "Tensor")) return from_torch(object);
  if (py::isinstance<PyView>(object)) return from_view(object.cast<const PyView&>());
  if (is_plain_python(object)) return through_numpy(object);
  if (py::hasattr(object, "__dlpack__") && py::hasattr(object, "__dlpack_device__")) {
    return from_dlpack(object, "a C-contiguous copy");
  }
  if (py::hasattr(object, "__array__") || py::hasattr(object, "__array_interface__"))
    return through_numpy(object);
  // Through a memoryview, as numpy.asarray takes bytes for text.
  if (PyObject_CheckBuffer(object.ptr()) != 0) {
    return through_numpy(py::memoryview(py::reinterpret_borrow<py::object>(object)));
  }
  throw UnsupportedTypeError(
      "cannot put a " + type_name(object) +
      ": give an array, a torch tensor, a number, a list of numbers, or any object with "
      "__dlpack__, __array__ or the buffer protocol");
}

}  // namespace tensord::python
