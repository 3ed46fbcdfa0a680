// Elements: where a tensor's elements lie and how they are laid out, whoever owns them: an attached
// view, a tensor that is still being built, a private mapping. Borrows everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tensord/dtype.hpp>
#include <tensord/view.hpp>

namespace tensord::python {

struct Elements {
  std::byte* data = nullptr;  // written through only if `writable`
  bool writable = false;
  DType dtype{};
  std::span<const std::int64_t> shape{};
  std::span<const std::int64_t> strides{};  // elements
  std::size_t size_bytes = 0;

  [[nodiscard]] int ndim() const { return static_cast<int>(shape.size()); }
};

// Whether elements of this layout follow each other in C order. Empty strides mean C order, as in
// DLPack; dimensions of one element have no say, tensors of no elements have any layout.
[[nodiscard]] bool is_c_contiguous(std::span<const std::int64_t> shape,
                                   std::span<const std::int64_t> strides);
[[nodiscard]] std::int64_t count_elements(std::span<const std::int64_t> shape);

}  // namespace tensord::python
