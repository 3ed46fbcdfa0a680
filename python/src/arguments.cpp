#include "arguments.hpp"

#include <cmath>
#include <string_view>

namespace py = pybind11;

namespace tensord::python {
namespace {

// The object's text, or nothing if it is no str.
std::string_view text_of(py::handle object) {
  if (!PyUnicode_Check(object.ptr())) return {};
  Py_ssize_t size = 0;
  const char* const text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (text == nullptr) throw py::error_already_set();
  return {text, static_cast<std::size_t>(size)};
}

std::string repr_of(py::handle object) { return py::repr(object).cast<std::string>(); }

std::int64_t read_length(py::handle object) {
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!number) throw py::error_already_set();
  const long long length = PyLong_AsLongLong(number.ptr());
  if (length == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw InvalidArgumentError("a dimension of " + repr_of(object) +
                               " elements does not fit any memory: give fewer");
  }
  return length;
}

}  // namespace

Mode read_mode(py::handle object) {
  const std::string_view text = text_of(object);
  if (text == "r") return Mode::kRead;
  if (text == "r+") return Mode::kReadWrite;
  throw InvalidArgumentError("mode is \"r\" (to read) or \"r+\" (to write a live tensor in place), not " +
                             repr_of(object));
}

Lifetime read_lifetime(py::handle object) {
  const std::string_view text = text_of(object);
  if (text == "store") return Lifetime::kStore;
  if (text == "client") return Lifetime::kClient;
  throw InvalidArgumentError(
      "lifetime is \"store\" (until deleted) or \"client\" (until this connection ends), not " +
      repr_of(object));
}

PutOptions read_put_options(bool replace, bool live, py::handle lifetime) {
  return {replace, live ? Kind::kLive : Kind::kSealed, read_lifetime(lifetime)};
}

std::vector<std::int64_t> read_shape(py::handle object) {
  if (PyIndex_Check(object.ptr()) != 0) return {read_length(object)};
  if (PyUnicode_Check(object.ptr()) || PySequence_Check(object.ptr()) == 0) {
    throw InvalidArgumentError("a shape is a number or a sequence of numbers, not " + repr_of(object));
  }
  std::vector<std::int64_t> shape;
  for (const py::handle length : object) {
    if (PyIndex_Check(length.ptr()) == 0) {
      throw InvalidArgumentError("a shape is made of whole numbers; " + repr_of(length) +
                                 " is none: give an int");
    }
    shape.push_back(read_length(length));
  }
  return shape;
}

std::chrono::nanoseconds read_timeout(py::handle timeout) {
  if (timeout.is_none()) return kForever;
  const double seconds = PyFloat_AsDouble(timeout.ptr());
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  if (std::isnan(seconds) || seconds < 0) {
    throw InvalidArgumentError("timeout is a number of seconds from 0 up, or None for no limit");
  }
  constexpr double kLongest_s = 1e9;  // 30 years: the same as no limit
  if (seconds >= kLongest_s) return kForever;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

std::string read_path(py::handle object) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(object.ptr(), &encoded) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(encoded).cast<std::string>();
}

}  // namespace tensord::python
