#include "cast.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>

#include <tensord/error.hpp>

#include "dtypes.hpp"
#include "elements.hpp"
#include "errors.hpp"
#include "numpy_array.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

using Kind = Source::Kind;

bool torch_has(DType dtype) {
  return py::hasattr(py::module_::import("torch"), std::string(dtype_name(dtype)).c_str());
}

void convert_in_torch(PyView& draft, const py::object& tensor) { draft.torch().attr("copy_")(tensor); }

void convert_in_numpy(PyView& draft, const Source& source) {
  py::object array = source.object;
  DType from{};  // stays empty for what only NumPy has: it is no stand-in
  if (source.kind != Kind::kNumpy) {
    const ArrayInput input = read_elements(source).value();  // only NumPy's arrays have none
    from = input.dtype;
    array = array_over(
        {const_cast<std::byte*>(input.data), false, input.dtype, input.shape, input.strides, 0}, input.owner);
  } else if (const auto held = held_dtype(source)) {
    from = *held;
  }
  const DType to = draft.elements().dtype;
  for (const DType dtype : {from, to}) {
    if (from == to || dtype == DType{} || !is_stand_in(dtype)) continue;
    const auto name = std::string(dtype_name(dtype));
    throw UnsupportedTypeError("NumPy has no " + name +
                               " here, so it cannot convert: install the package ml_dtypes if it has " +
                               name + ", or put a torch tensor, which torch converts");
  }
  py::module_::import("numpy").attr("copyto")(draft.numpy(), array, py::arg("casting") = "unsafe");
}

}  // namespace

std::optional<DType> held_dtype(const Source& source) {
  try {
    switch (source.kind) {
      case Kind::kNumpy: return dtype_from_numpy(source.object.attr("dtype"));
      case Kind::kTorch: return dtype_from_torch(source.object.attr("dtype"));
      case Kind::kView: return source.object.cast<const PyView&>().elements().dtype;
      case Kind::kDlpack: return source.exported->dtype;
    }
  } catch (const UnsupportedTypeError&) {
  }
  return std::nullopt;
}

PackedLayout packed_layout(const Source& source) {
  PackedLayout layout;
  std::vector<std::int64_t> strides;
  if (source.kind == Kind::kNumpy) {
    const auto array = py::reinterpret_borrow<py::array>(source.object);
    layout.shape.assign(array.shape(), array.shape() + array.ndim());
    if (auto whole = strides_in_elements(array)) {
      strides = *std::move(whole);
    } else {
      // Such strides leave gaps, and then only their order counts, which bytes tell as well.
      strides.assign(array.strides(), array.strides() + array.ndim());
    }
  } else if (source.kind == Kind::kTorch) {
    layout.shape = source.object.attr("shape").cast<std::vector<std::int64_t>>();
    strides = source.object.attr("stride")().cast<std::vector<std::int64_t>>();
  } else {
    ArrayInput input = read_elements(source).value();
    layout.shape = std::move(input.shape);
    strides = std::move(input.strides);
  }
  if (layout.shape.size() <= kMaxDims) layout.strides = packed_strides(layout.shape, strides);
  return layout;
}

void cast_into(PyView& draft, const Source& source) {
  const DType to = draft.elements().dtype;
  try {
    if (source.kind == Kind::kTorch && torch_has(to)) {
      convert_in_torch(draft, source.object);
    } else {
      convert_in_numpy(draft, source);
    }
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError) &&
        !error.matches(PyExc_OverflowError) && !error.matches(PyExc_RuntimeError)) {
      throw;
    }
    raise_from_current(error, Errc::kInvalidArgument,
                       "these elements do not become " + std::string(dtype_name(to)) + ": " + error.what());
  }
}

}  // namespace tensord::python
