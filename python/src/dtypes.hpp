// DTypes: the same element type in tensord's, NumPy's, torch's and the buffer protocol's words.
// Threads  with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include <tensord/dtype.hpp>

namespace tensord::python {

// The name as a Python string ("float32").
[[nodiscard]] pybind11::str dtype_str(DType dtype);

// The NumPy descriptor, made once per dtype. Throws UnsupportedTypeError for bfloat16 without ml_dtypes.
[[nodiscard]] pybind11::handle numpy_descr(DType dtype);

// Reads a NumPy dtype. Throws UnsupportedTypeError, saying why and what to do.
[[nodiscard]] DType dtype_from_numpy(pybind11::handle descr);

// Reads what a user may write for a dtype: "float32", numpy.float32, a NumPy or torch dtype.
[[nodiscard]] DType dtype_from_object(pybind11::handle object);

// The struct format of one element, or null: the buffer protocol has no word for bfloat16.
[[nodiscard]] const char* buffer_format(DType dtype);

// The error for elements that no dtype of ours can hold. `what` names them, `advice` may be empty.
[[noreturn]] void refuse_dtype(const std::string& what, const std::string& advice = {});

}  // namespace tensord::python
