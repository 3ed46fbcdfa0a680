// Three sources of NumPy descriptors, in this order: NumPy's own types, by number; ml_dtypes's, by
// name, when it is installed and has the type; else a stand-in, so that attaching to a tensor never
// fails for want of a package: the bits as unsigned integers, with the true dtype as metadata of the
// descriptor. NumPy carries the metadata along views, slices and copies, and drops it on astype().
#include "dtypes.hpp"

#include <pybind11/numpy.h>

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

#include <tensord/error.hpp>

namespace py = pybind11;

namespace tensord::python {
namespace {

using npy = py::detail::npy_api;

constexpr int kNumpyHalf = 23;      // NPY_HALF: pybind11 has no name for it
constexpr int kNumpyUserType = -1;  // not one of NumPy's own

constexpr const char* kMetadataKey = "tensord";
constexpr std::string_view kTorchPrefix = "torch.";

struct Entry {
  DType dtype;
  int numpy_number;
  const char* format;
};

// int64 is 'l', not 'q': of NumPy's two types of this width that is the one it calls int64.
constexpr Entry kEntries[] = {
    {kBool, npy::NPY_BOOL_, "?"},
    {kInt8, npy::NPY_INT8_, "b"},
    {kInt16, npy::NPY_INT16_, "h"},
    {kInt32, npy::NPY_INT32_, "i"},
    {kInt64, npy::NPY_INT64_, "l"},
    {kUInt8, npy::NPY_UINT8_, "B"},
    {kUInt16, npy::NPY_UINT16_, "H"},
    {kUInt32, npy::NPY_UINT32_, "I"},
    {kUInt64, npy::NPY_UINT64_, "L"},
    {kFloat16, kNumpyHalf, "e"},
    {kFloat32, npy::NPY_FLOAT_, "f"},
    {kFloat64, npy::NPY_DOUBLE_, "d"},
    {kComplex64, npy::NPY_CFLOAT_, "Zf"},
    {kComplex128, npy::NPY_CDOUBLE_, "Zd"},
    {kBFloat16, kNumpyUserType, nullptr},
    {kComplex32, kNumpyUserType, nullptr},
    {kFloat8E3M4, kNumpyUserType, nullptr},
    {kFloat8E4M3, kNumpyUserType, nullptr},
    {kFloat8E4M3B11FNUZ, kNumpyUserType, nullptr},
    {kFloat8E4M3FN, kNumpyUserType, nullptr},
    {kFloat8E4M3FNUZ, kNumpyUserType, nullptr},
    {kFloat8E5M2, kNumpyUserType, nullptr},
    {kFloat8E5M2FNUZ, kNumpyUserType, nullptr},
    {kFloat8E8M0FNU, kNumpyUserType, nullptr},
    {kFloat4E2M1FNx2, kNumpyUserType, nullptr},
};
static_assert(sizeof(long) == 8, "the formats 'l' and 'L' mean 64 bits here");

// Made on first use and never released, as arrays need them until the end of the interpreter.
PyObject* descrs[std::size(kEntries)];

std::size_t index_of(DType dtype) {
  for (std::size_t i = 0; i < std::size(kEntries); ++i) {
    if (kEntries[i].dtype == dtype) return i;
  }
  throw UnsupportedTypeError("this tensor's dtype (DLPack code " + std::to_string(dtype.code) + ", " +
                             std::to_string(dtype.bits) +
                             " bits) is unknown to this version of the Python module: update it");
}

// The type of ml_dtypes, or None: not installed, or of a version before this dtype.
py::object find_in_ml_dtypes(DType dtype) {
  try {
    return py::getattr(py::module_::import("ml_dtypes"), dtype_str(dtype), py::none());
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    return py::none();
  }
}

py::object make_stand_in(DType dtype) {
  py::dict metadata;
  metadata[kMetadataKey] = dtype_str(dtype);
  return py::module_::import("numpy").attr("dtype")("uint" + std::to_string(8 * dtype.itemsize()),
                                                    py::arg("metadata") = metadata);
}

PyObject* make_descr(const Entry& entry) {
  if (entry.numpy_number != kNumpyUserType) return npy::get().PyArray_DescrFromType_(entry.numpy_number);
  const py::object type = find_in_ml_dtypes(entry.dtype);
  if (type.is_none()) return make_stand_in(entry.dtype).release().ptr();
  return py::dtype::from_args(type).release().ptr();
}

std::string held_dtypes() {
  std::string names;
  for (const DType dtype : supported_dtypes()) {
    if (!names.empty()) names += ", ";
    names += dtype_name(dtype);
  }
  return names;
}

std::optional<DType> numeric_dtype(char kind, std::size_t size_bytes) {
  const auto bits = static_cast<std::uint8_t>(size_bytes * 8);
  const auto made = [&](std::uint8_t code) -> std::optional<DType> {
    const DType dtype{code, bits, 1};
    return size_bytes <= 16 && is_supported(dtype) ? std::optional(dtype) : std::nullopt;
  };
  switch (kind) {
    case 'b': return made(dtype_code::kBool);
    case 'i': return made(dtype_code::kInt);
    case 'u': return made(dtype_code::kUInt);
    case 'f': return made(dtype_code::kFloat);
    case 'c': return made(dtype_code::kComplex);
    default: return std::nullopt;
  }
}

[[noreturn]] void refuse_byte_order(const std::string& what) {
  refuse_dtype(what + ", of foreign byte order",
               "convert with array.astype(array.dtype.newbyteorder(\"=\"))");
}

// What the descriptor stands in for, or nothing.
std::optional<DType> dtype_from_metadata(const py::dtype& descr) {
  const py::object metadata = descr.attr("metadata");
  if (metadata.is_none() || !metadata.contains(kMetadataKey)) return std::nullopt;
  const py::object value = metadata[kMetadataKey];
  const auto dtype =
      py::isinstance<py::str>(value) ? dtype_from_name(value.cast<std::string>()) : std::nullopt;
  const auto itemsize = static_cast<std::size_t>(descr.itemsize());
  if (!dtype || descr.kind() != 'u' || dtype->itemsize() != itemsize) {
    refuse_dtype("dtype " + py::str(descr).cast<std::string>() +
                     " with the metadata \"tensord\": " + py::repr(value).cast<std::string>(),
                 "that must name a dtype of the same width, and stand on unsigned integers");
  }
  return dtype;
}

const char* advice_for(char kind, bool has_fields) {
  switch (kind) {
    case 'O': return "objects are pointers, which mean nothing in another process: convert to numbers first";
    case 'U':
    case 'S':
    case 'T': return "put text as the uint8 elements of its encoded bytes";
    case 'M':
    case 'm': return "put array.view(\"int64\") and keep the unit beside it";
    case 'V': return has_fields ? "put each field under a name of its own" : "";
    default: return "convert with array.astype(...)";
  }
}

}  // namespace

void refuse_dtype(const std::string& what, const std::string& advice) {
  throw UnsupportedTypeError("tensord does not hold " + what + (advice.empty() ? "" : ": " + advice) +
                             ". It holds " + held_dtypes());
}

py::str dtype_str(DType dtype) {
  const std::string_view name = dtype_name(dtype);
  return py::str(name.data(), name.size());
}

py::handle numpy_descr(DType dtype) {
  const std::size_t index = index_of(dtype);
  if (descrs[index] == nullptr) descrs[index] = make_descr(kEntries[index]);
  return descrs[index];
}

bool is_stand_in(DType dtype) {
  // Of the types that are not NumPy's own, only stand-ins are unsigned integers.
  return kEntries[index_of(dtype)].numpy_number == kNumpyUserType &&
         py::reinterpret_borrow<py::dtype>(numpy_descr(dtype)).kind() == 'u';
}

DType dtype_from_numpy(py::handle handle) {
  const auto descr = py::reinterpret_borrow<py::dtype>(handle);
  const char kind = descr.kind();
  const int number = descr.num();
  const auto text = [&] { return "dtype " + py::str(descr).cast<std::string>(); };
  const auto itemsize = static_cast<std::size_t>(descr.itemsize());
  std::optional<DType> dtype;
  if (number > npy::NPY_VOID_ && number != kNumpyHalf && kind != 'M' && kind != 'm' && kind != 'T') {
    // Another package's. Its kinds and numbers tell nothing, its name does.
    dtype = dtype_from_name(descr.attr("name").cast<std::string>());
    if (!dtype || dtype->itemsize() != itemsize ||
        kEntries[index_of(*dtype)].numpy_number != kNumpyUserType) {
      refuse_dtype(text());
    }
  } else {
    dtype = dtype_from_metadata(descr);
    if (!dtype) dtype = numeric_dtype(kind, itemsize);
    if (!dtype) refuse_dtype(text(), advice_for(kind, descr.has_fields()));
  }
  if (!descr.attr("isnative").cast<bool>()) refuse_byte_order(text());
  return *dtype;
}

std::optional<DType> dtype_from_torch(py::handle torch_dtype) {
  const auto text = py::str(torch_dtype).cast<std::string>();
  if (!text.starts_with(kTorchPrefix)) return std::nullopt;
  return dtype_from_name(std::string_view(text).substr(kTorchPrefix.size()));
}

py::object torch_dtype(DType dtype) {
  const py::object found = py::getattr(py::module_::import("torch"), dtype_str(dtype), py::none());
  if (found.is_none()) {
    throw UnsupportedTypeError("the installed torch has no " + std::string(dtype_name(dtype)) +
                               ": use view.numpy(), or view.numpy().view(\"uint" +
                               std::to_string(8 * dtype.itemsize()) + "\") for the bits");
  }
  return found;
}

bool goes_to_torch_as_bytes(DType dtype) { return dtype.code >= dtype_code::kFloat8E3M4; }

DType dtype_from_object(py::handle object) {
  const auto dtype = py::isinstance<py::str>(object) ? dtype_from_name(object.cast<std::string>())
                                                     : dtype_from_torch(object);
  if (dtype) return *dtype;
  try {
    return dtype_from_numpy(py::dtype::from_args(py::reinterpret_borrow<py::object>(object)));
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    refuse_dtype("dtype " + py::str(object).cast<std::string>());
  }
}

const char* buffer_format(DType dtype) { return kEntries[index_of(dtype)].format; }

}  // namespace tensord::python
