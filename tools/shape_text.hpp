// Shapes and strides as NumPy and torch print them: [1000, 64]; [] is a scalar.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace tensord::tools {

[[nodiscard]] inline std::string shape_text(std::span<const std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return "[" + text + "]";
}

}  // namespace tensord::tools
