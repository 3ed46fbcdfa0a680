// What put() copies from, whatever the user gave: an array, a torch tensor, a DLPack or buffer producer,
// a View, a number, a list.
//
// Owns     references to the objects that own the memory; nothing is copied here, unless an object has no
//          memory of its own to read: numbers and lists go through numpy.asarray, and torch works out
//          lazy conjugates and negatives.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <tensord/array.hpp>
#include <tensord/dtype.hpp>
#include <tensord/view.hpp>

namespace tensord::python {

// Elements in memory.
struct ArrayInput {
  DType dtype{};
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // elements, of any sign; none at all: C order
  const std::byte* data = nullptr;    // the element of index (0, ..., 0)
  pybind11::object owner;

  [[nodiscard]] Array array() const { return {dtype, shape, strides, data}; }
};

// The object, and which of the four faces it shows.
struct Source {
  enum class Kind : std::uint8_t { kNumpy, kTorch, kView, kDlpack };
  Kind kind{};
  pybind11::object object;               // a NumPy array; a torch tensor, detached; a View; a DLPack producer
  std::optional<ArrayInput> exported{};  // what a DLPack producer handed out, once
};

// Throws UnsupportedTypeError for objects that are no arrays, or lie on another device, and says what to do.
[[nodiscard]] Source read_source(pybind11::handle object);

// The view, if the source is one of a live tensor: then its elements may change while they are copied.
[[nodiscard]] std::optional<View> live_view(const Source& source);
// A private copy of such a source, all of one version.
[[nodiscard]] Source whole_copy(const Source& source);

// The elements of a source. Nothing if they lie at places that are no multiple of their size apart: only
// NumPy can copy those.
// Throws UnsupportedTypeError for elements that tensord does not hold, and says what to do.
[[nodiscard]] std::optional<ArrayInput> read_elements(const Source& source);

}  // namespace tensord::python
