// Terminal: what standard output is, as far as tables care: how wide, and whether it shows colours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tensord::tools {

enum class ColorChoice : std::uint8_t { kAuto, kAlways, kNever };

struct Terminal {
  bool is_terminal = false;
  bool color = false;
  std::optional<std::size_t> width;  // columns; nothing: as wide as it needs to be

  // kAuto: colour on a terminal that is not dumb, unless $NO_COLOR is set (https://no-color.org).
  // The width: $COLUMNS, else what the terminal says; only of a terminal, so that nothing is cut in a pipe.
  [[nodiscard]] static Terminal of_stdout(ColorChoice choice);
};

}  // namespace tensord::tools
