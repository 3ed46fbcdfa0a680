// The classes are written in Python, where they can be read, documented and pickled; here they are
// only looked up, by the same codes that the protocol uses.
#include "errors.hpp"

#include <array>
#include <cstddef>
#include <exception>

namespace py = pybind11;

namespace tensord::python {
namespace {

struct ErrorName {
  Errc code;
  const char* name;
};

constexpr ErrorName kNames[] = {
    {Errc::kNotFound, "NotFoundError"},
    {Errc::kAlreadyExists, "AlreadyExistsError"},
    {Errc::kOutOfSpace, "OutOfSpaceError"},
    {Errc::kPermissionDenied, "PermissionDeniedError"},
    {Errc::kInvalidArgument, "InvalidArgumentError"},
    {Errc::kUnsupportedType, "UnsupportedTypeError"},
    {Errc::kConnectionLost, "ConnectionLostError"},
    {Errc::kVersionMismatch, "VersionMismatchError"},
    {Errc::kLimitReached, "LimitReachedError"},
    {Errc::kWouldCopy, "WouldCopyError"},
    {Errc::kTimeout, "TimeoutError"},
    {Errc::kInternal, "InternalError"},
    {Errc::kTornWrite, "TornWriteError"},
};
constexpr std::size_t kCodes = std::size(kNames) + 1;  // kOk has no class: its place is Error itself
static_assert(static_cast<std::size_t>(Errc::kTornWrite) == kCodes - 1, "a code has no Python class");

// Never released: errors may be raised until the very end of the interpreter.
std::array<PyObject*, kCodes> classes{};
PyObject* out_of_range = nullptr;  // of Python alone: an IndexError ends a loop there

PyObject* class_of(Errc code) {
  const auto index = static_cast<std::size_t>(code);
  return classes[index < kCodes ? index : 0];
}

}  // namespace

void set_python_error(const Error& error) { PyErr_SetString(class_of(error.code()), error.what()); }

void raise_from_current(py::error_already_set& cause, Errc code, const std::string& text) {
  py::raise_from(cause, class_of(code), text.c_str());
  throw py::error_already_set();
}

void raise_out_of_range(const std::string& text) {
  PyErr_SetString(out_of_range, text.c_str());
  throw py::error_already_set();
}

void register_errors() {
  const py::module_ errors = py::module_::import("tensord.errors");
  classes[0] = py::getattr(errors, "Error").release().ptr();
  for (const ErrorName& entry : kNames) {
    classes[static_cast<std::size_t>(entry.code)] = py::getattr(errors, entry.name).release().ptr();
  }
  out_of_range = py::getattr(errors, "OutOfRangeError").release().ptr();
  py::register_local_exception_translator([](std::exception_ptr current) {
    try {
      if (current) std::rethrow_exception(current);
    } catch (const Error& error) {
      set_python_error(error);
    }
  });
}

}  // namespace tensord::python
