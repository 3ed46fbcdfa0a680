#include "dtypes.hpp"

#include <pybind11/numpy.h>

#include <cstddef>
#include <iterator>
#include <optional>

#include <tensord/error.hpp>

namespace py = pybind11;

namespace tensord::python {
namespace {

using npy = py::detail::npy_api;

constexpr int kNumpyHalf = 23;      // NPY_HALF: pybind11 has no name for it
constexpr int kNumpyUserType = -1;  // bfloat16 comes from ml_dtypes, with a number of its own

struct Entry {
  DType dtype;
  int numpy_number;
  const char* format;
};

// int64 is 'l', not 'q': of NumPy's two types of this width that is the one it calls int64.
constexpr Entry kEntries[] = {
    {kBool, npy::NPY_BOOL_, "?"},           {kInt8, npy::NPY_INT8_, "b"},
    {kInt16, npy::NPY_INT16_, "h"},         {kInt32, npy::NPY_INT32_, "i"},
    {kInt64, npy::NPY_INT64_, "l"},         {kUInt8, npy::NPY_UINT8_, "B"},
    {kUInt16, npy::NPY_UINT16_, "H"},       {kUInt32, npy::NPY_UINT32_, "I"},
    {kUInt64, npy::NPY_UINT64_, "L"},       {kFloat16, kNumpyHalf, "e"},
    {kFloat32, npy::NPY_FLOAT_, "f"},       {kFloat64, npy::NPY_DOUBLE_, "d"},
    {kBFloat16, kNumpyUserType, nullptr},   {kComplex64, npy::NPY_CFLOAT_, "Zf"},
    {kComplex128, npy::NPY_CDOUBLE_, "Zd"},
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
                             " bits) is unknown to this version of the Python module");
}

PyObject* make_descr(const Entry& entry) {
  if (entry.numpy_number != kNumpyUserType) {
    return npy::get().PyArray_DescrFromType_(entry.numpy_number);
  }
  try {
    const py::object type = py::module_::import("ml_dtypes").attr("bfloat16");
    return py::dtype::from_args(type).release().ptr();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    throw UnsupportedTypeError(
        "NumPy has no bfloat16 of its own: install the package ml_dtypes, which adds it, or use torch, "
        "which has it (view.torch(), view.clone(torch=True))");
  }
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

DType dtype_from_numpy(py::handle handle) {
  const auto descr = py::reinterpret_borrow<py::dtype>(handle);
  const char kind = descr.kind();
  const auto text = "dtype " + py::str(descr).cast<std::string>();
  // ml_dtypes calls its kinds 'V' and 'f': the name is what tells bfloat16 from other types of two bytes.
  if (descr.attr("name").cast<std::string>() == dtype_name(kBFloat16)) return kBFloat16;
  if (descr.num() > npy::NPY_VOID_ && descr.num() != kNumpyHalf && kind != 'M' && kind != 'm' &&
      kind != 'T') {
    refuse_dtype(text);
  }
  const auto dtype = numeric_dtype(kind, static_cast<std::size_t>(descr.itemsize()));
  if (!dtype) refuse_dtype(text, advice_for(kind, descr.has_fields()));
  if (!descr.attr("isnative").cast<bool>()) {
    refuse_dtype(text + ", of foreign byte order",
                 "convert with array.astype(array.dtype.newbyteorder(\"=\"))");
  }
  return *dtype;
}

DType dtype_from_object(py::handle object) {
  std::string word;
  if (py::isinstance<py::str>(object)) {
    word = object.cast<std::string>();
  } else if (const auto text = py::str(object).cast<std::string>(); text.rfind("torch.", 0) == 0) {
    word = text.substr(text.find('.') + 1);
  }
  if (!word.empty()) {
    if (const auto dtype = dtype_from_name(word)) return *dtype;
  }
  try {
    return dtype_from_numpy(py::dtype::from_args(py::reinterpret_borrow<py::object>(object)));
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    refuse_dtype("dtype " + py::str(object).cast<std::string>());
  }
}

const char* buffer_format(DType dtype) { return kEntries[index_of(dtype)].format; }

}  // namespace tensord::python
