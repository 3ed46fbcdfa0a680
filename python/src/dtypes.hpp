// DTypes: the same element type in tensord's, NumPy's, torch's and the buffer protocol's words.
// Threads  with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include <tensord/dtype.hpp>

namespace tensord::python {

// The name as a Python string ("float32").
[[nodiscard]] pybind11::str dtype_str(DType dtype);

// The NumPy descriptor, made once per dtype: NumPy's own, ml_dtypes's, or where neither has one a
// stand-in: the unsigned integer of the same width, with {"tensord": name} as its metadata.
[[nodiscard]] pybind11::handle numpy_descr(DType dtype);
// Whether it is a stand-in: then NumPy takes the bits of each element for an integer.
[[nodiscard]] bool is_stand_in(DType dtype);

// Reads a NumPy dtype, of a stand-in the one that it stands in for. Throws UnsupportedTypeError, saying
// why and what to do.
[[nodiscard]] DType dtype_from_numpy(pybind11::handle descr);

// Reads what a user may write for a dtype: "float32", numpy.float32, a NumPy or torch dtype.
[[nodiscard]] DType dtype_from_object(pybind11::handle object);

// Reads a torch dtype; nothing for one that tensord does not hold.
[[nodiscard]] std::optional<DType> dtype_from_torch(pybind11::handle torch_dtype);
// The way back. Throws UnsupportedTypeError where the installed torch has none.
[[nodiscard]] pybind11::object torch_dtype(DType dtype);
// Whether torch is given and asked for the bytes only, as it learned this dtype before DLPack did:
// torch up to 2.8 hands out no float of 8 or 4 bits.
[[nodiscard]] bool goes_to_torch_as_bytes(DType dtype);

// The struct format of one element, or null: the buffer protocol has no word for bfloat16 and the like.
[[nodiscard]] const char* buffer_format(DType dtype);

// The error for elements that no dtype of ours can hold. `what` names them, `advice` may be empty.
[[noreturn]] void refuse_dtype(const std::string& what, const std::string& advice = {});

}  // namespace tensord::python
