// Text for a terminal: names and commands are chosen by strangers, and may be in any script.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tensord::tools {

// The same text with everything escaped that would move the cursor, change the terminal's state or the order
// of what stands around it: control characters (\x1b, \u009b), direction marks (\u202e), and what is no
// UTF-8 (\xff). Needs use_utf8().
[[nodiscard]] std::string printable(std::string_view text_untrusted);

// Columns that the text takes: wide characters two, combining marks none. REQUIRES: printable() text.
[[nodiscard]] std::size_t columns_of(std::string_view text);

// At most `columns` wide: what is in the middle gives way to "…". REQUIRES: printable() text.
[[nodiscard]] std::string cut_middle(std::string_view text, std::size_t columns);

// Once, at the start of main: the C library's character tables, whatever the user's language is.
void use_utf8();

}  // namespace tensord::tools
