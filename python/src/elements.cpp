#include "elements.hpp"

namespace tensord::python {

std::int64_t count_elements(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t length : shape) count *= length;
  return count;
}

bool is_c_contiguous(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides) {
  if (strides.empty()) return true;
  std::int64_t expected = 1;
  bool in_order = true;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) in_order = false;
    expected *= shape[i];
  }
  return in_order;
}

}  // namespace tensord::python
