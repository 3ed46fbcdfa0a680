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

void refuse_masked(py::handle array) {
  if (!is_instance_of(array, "numpy.ma", "MaskedArray")) return;
  throw UnsupportedTypeError(
      "a masked array has two parts, and only the data would be kept: put array.data and "
      "array.mask under two names, or put array.filled(...)");
}

std::optional<ArrayInput> from_numpy(const py::array& array) {
  ArrayInput input;
  input.dtype = dtype_from_numpy(array.dtype());
  auto strides = strides_in_elements(array);
  if (!strides) return std::nullopt;
  input.shape.assign(array.shape(), array.shape() + array.ndim());
  input.strides = *std::move(strides);
  input.data = static_cast<const std::byte*>(array.data());
  input.owner = array;
  return input;
}

ArrayInput from_dlpack(py::handle producer) {
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
  if (tensor.strides != nullptr) input.strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  if (tensor.data == nullptr && count_elements(input.shape) != 0) {
    throw UnsupportedTypeError(
        "this " + type_name(producer) +
        " has a shape but no elements in memory, as torch's fake tensors: put a real one");
  }
  input.data = static_cast<const std::byte*>(tensor.data) + tensor.byte_offset;
  input.owner = std::move(imported.capsule);
  return input;
}

// Torch tensors whose elements are not plain memory of this machine.
void refuse_foreign(py::handle tensor) {
  const auto layout = py::str(tensor.attr("layout")).cast<std::string>();
  if (layout != "torch.strided") {
    throw UnsupportedTypeError("tensord holds dense tensors; this one has layout " + layout +
                               ": put tensor.to_dense(), or its parts under names of their own");
  }
  if (tensor.attr("device").attr("type").cast<std::string>() != "cpu") {
    throw UnsupportedTypeError("tensord holds tensors of the CPU; this one lies on " +
                               py::str(tensor.attr("device")).cast<std::string>() + ": put tensor.cpu()");
  }
}

ArrayInput from_torch(py::handle tensor) {
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
  py::object plain = tensor.attr("resolve_conj")().attr("resolve_neg")();
  try {
    if (goes_to_torch_as_bytes(*dtype))
      plain = plain.attr("view")(py::module_::import("torch").attr("uint8"));
    ArrayInput input = from_dlpack(plain);
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
  input.strides.assign(elements.strides.begin(), elements.strides.end());
  input.data = elements.data;
  input.owner = view.lease();
  return input;
}

// Numbers, nested lists, and objects with NumPy's __array__ protocols.
Source through_numpy(py::handle object) {
  try {
    py::object array = as_array(object);
    refuse_masked(array);
    return {Source::Kind::kNumpy, std::move(array)};
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    raise_from_current(error, Errc::kInvalidArgument,
                       "numpy.asarray makes no array of this " + type_name(object) + ": " + error.what());
  }
}

bool is_plain_python(py::handle object) {
  return PyLong_Check(object.ptr()) || PyFloat_Check(object.ptr()) || PyComplex_Check(object.ptr()) ||
         PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

}  // namespace

Source read_source(py::handle handle) {
  const auto object = py::reinterpret_borrow<py::object>(handle);
  if (py::isinstance<py::array>(object)) {
    refuse_masked(object);
    return {Source::Kind::kNumpy, object};
  }
  if (is_instance_of(object, "torch", "Tensor")) {
    refuse_foreign(object);
    return {Source::Kind::kTorch, object.attr("detach")()};
  }
  if (py::isinstance<PyView>(object)) return {Source::Kind::kView, object};
  if (is_plain_python(object)) return through_numpy(object);
  if (py::hasattr(object, "__dlpack__")) {
    return {Source::Kind::kDlpack, object, from_dlpack(object)};
  }
  if (py::hasattr(object, "__cuda_array_interface__")) {
    throw UnsupportedTypeError("tensord holds tensors of the CPU; this " + type_name(object) +
                               " lies on a GPU: copy it to the CPU first, in CuPy with cupy.asnumpy(array), "
                               "in Numba with array.copy_to_host()");
  }
  if (py::hasattr(object, "__array__") || py::hasattr(object, "__array_interface__"))
    return through_numpy(object);
  // Through a memoryview, as numpy.asarray takes bytes for text.
  if (PyObject_CheckBuffer(object.ptr()) != 0) return through_numpy(py::memoryview(object));
  throw UnsupportedTypeError(
      "cannot put a " + type_name(object) +
      ": give an array, a torch tensor, a number, a list of numbers, or any object with "
      "__dlpack__, __array__ or the buffer protocol");
}

std::optional<View> live_view(const Source& source) {
  if (source.kind != Source::Kind::kView) return std::nullopt;
  const LeaseContent& content = lease_content(source.object.cast<const PyView&>().lease());
  if (content.draft || content.view.kind() != Kind::kLive) return std::nullopt;
  return content.view;
}

Source whole_copy(const Source& source) { return read_source(source.object.attr("clone")()); }

std::optional<ArrayInput> read_elements(const Source& source) {
  switch (source.kind) {
    case Source::Kind::kNumpy: return from_numpy(py::reinterpret_borrow<py::array>(source.object));
    case Source::Kind::kTorch: return from_torch(source.object);
    case Source::Kind::kView: return from_view(source.object.cast<const PyView&>());
    case Source::Kind::kDlpack: return source.exported;
  }
  return std::nullopt;
}

}  // namespace tensord::python
