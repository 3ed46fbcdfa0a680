// Errors: tensord::Error becomes the Python class of the same name (tensord/errors.py).
// Threads  with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include <tensord/error.hpp>

namespace tensord::python {

// Loads the Python classes and teaches pybind11 to raise them. Call once, first of all.
void register_errors();

// Sets `error` as the current Python exception: for C slots, which pybind11 does not wrap.
void set_python_error(const Error& error);

// Turns the current Python exception (a NumPy ValueError, ...) into a tensord error of `code` with
// `text`, and keeps the old one as its cause.
[[noreturn]] void raise_from_current(pybind11::error_already_set& cause, Errc code, const std::string& text);

// For an index that a tensor's shape does not have: the Python class OutOfRangeError.
[[noreturn]] void raise_out_of_range(const std::string& text);

}  // namespace tensord::python
