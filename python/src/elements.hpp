// Elements: where a tensor's elements lie and how they are laid out, whoever owns them: an attached
// view, a tensor that is still being built, a private mapping. Borrows everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <tensord/dtype.hpp>

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

}  // namespace tensord::python
