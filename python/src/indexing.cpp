#include "indexing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <tensord/error.hpp>

#include "errors.hpp"
#include "shape_tuple.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

std::string text_of(py::handle object) { return py::str(object).cast<std::string>(); }

[[noreturn]] void refuse_copy(const std::string& what) {
  throw WouldCopyError(what +
                       ": view.numpy()[...] gives that as NumPy does, view.clone()[...] of a private copy");
}

// The object as a whole number. A bool is one to Python, but a mask to NumPy.
std::int64_t read_index(py::handle object) {
  if (!PyBool_Check(object.ptr()) && PyIndex_Check(object.ptr()) != 0) {
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
    if (number) {
      int overflow = 0;
      const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
      // What is too large for 64 bits is out of range as well as their last.
      return overflow == 0 ? value : overflow > 0 ? INT64_MAX : INT64_MIN;
    }
    // Arrays and tensors of many numbers have __index__ too, and refuse.
    if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw py::error_already_set();
    PyErr_Clear();
  }
  refuse_copy("whole numbers, slices, ... and None give views that share memory, but a " +
              std::string(Py_TYPE(object.ptr())->tp_name) + " as index could only give a copy");
}

class Indexing {
 public:
  Indexing(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides)
      : shape_(shape), strides_(strides) {}

  void take(py::handle index) {
    if (PySlice_Check(index.ptr())) return take_slice(index);
    const std::int64_t position = read_index(index);
    const std::int64_t length = shape_[dim_];
    if (position < -length || position >= length) {
      raise_out_of_range("index " + text_of(index) + " is out of range: dimension " + std::to_string(dim_) +
                         " has " + std::to_string(length) + " elements");
    }
    move_to(position < 0 ? position + length : position);
    ++dim_;
  }

  void keep(std::size_t dims) {
    for (; dims > 0; --dims, ++dim_) push(shape_[dim_], strides_[dim_]);
  }

  // A new dimension of one element. Its stride is never taken.
  void add() { push(1, dim_ == strides_.size() ? 1 : strides_[dim_]); }

  [[nodiscard]] SubLayout done() && { return std::move(result_); }

 private:
  void take_slice(py::handle slice) {
    Py_ssize_t start = 0, stop = 0, step = 0;
    if (PySlice_Unpack(slice.ptr(), &start, &stop, &step) != 0) throw py::error_already_set();
    if (step < 0) {
      refuse_copy("a view has no negative strides, so with a step of " + std::to_string(step) +
                  " it could only be a copy");
    }
    const Py_ssize_t count = PySlice_AdjustIndices(shape_[dim_], &start, &stop, step);
    if (count > 0) move_to(start);
    // The step to a second element that is not there may be any, and its product may not fit.
    push(count, count > 1 ? strides_[dim_] * step : strides_[dim_]);
    ++dim_;
  }

  // Unsigned, for a view without elements may have strides that fit nowhere.
  void move_to(std::int64_t position) {
    result_.offset = static_cast<std::int64_t>(static_cast<std::uint64_t>(result_.offset) +
                                               static_cast<std::uint64_t>(position) *
                                                   static_cast<std::uint64_t>(strides_[dim_]));
  }

  void push(std::int64_t length, std::int64_t stride) {
    result_.shape.push_back(length);
    result_.strides.push_back(stride);
  }

  std::span<const std::int64_t> shape_;
  std::span<const std::int64_t> strides_;
  std::size_t dim_ = 0;
  SubLayout result_;
};

}  // namespace

SubLayout index_layout(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                       py::handle key) {
  const auto indices =
      PyTuple_Check(key.ptr()) ? py::reinterpret_borrow<py::tuple>(key) : py::make_tuple(key);
  std::size_t taken = 0;
  bool has_ellipsis = false;
  for (const py::handle index : indices) {
    if (index.ptr() != Py_Ellipsis) {
      taken += index.is_none() ? 0 : 1;
    } else if (std::exchange(has_ellipsis, true)) {
      raise_out_of_range("an index has one ellipsis (...) at most; this one has more");
    }
  }
  if (taken > shape.size()) {
    raise_out_of_range("too many indices: " + std::to_string(taken) + " for a view of " +
                       std::to_string(shape.size()) + " dimensions, of shape " + text_of(shape_tuple(shape)));
  }
  Indexing indexing(shape, strides);
  const std::size_t left = shape.size() - taken;
  for (const py::handle index : indices) {
    if (index.ptr() == Py_Ellipsis) {
      indexing.keep(left);
    } else if (index.is_none()) {
      indexing.add();
    } else {
      indexing.take(index);
    }
  }
  if (!has_ellipsis) indexing.keep(left);
  SubLayout layout = std::move(indexing).done();
  // Of a view without elements nothing is addressed, and a place beyond its end is none.
  if (std::ranges::find(layout.shape, 0) != layout.shape.end()) layout.offset = 0;
  return layout;
}

}  // namespace tensord::python
