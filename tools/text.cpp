#include "text.hpp"

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cuchar>
#include <cwchar>
#include <utility>
#include <vector>

namespace tensord::tools {
namespace {

// One character of a text, or one byte that belongs to none.
struct Character {
  std::string_view bytes;
  char32_t code = 0;
  bool valid = false;
};

// Nothing is left of `rest` when it is empty.
Character take_character(std::string_view& rest) {
  std::mbstate_t state{};
  Character character;
  const std::size_t size = std::mbrtoc32(&character.code, rest.data(), rest.size(), &state);
  character.valid = size <= rest.size();  // errors are (size_t)-1 and (size_t)-2; 0 is the zero byte
  character.bytes = rest.substr(0, character.valid ? std::max<std::size_t>(size, 1) : 1);
  rest.remove_prefix(character.bytes.size());
  return character;
}

// Marks and overrides that turn the direction of the text behind them, and ends of lines that are no '\n'.
bool turns_text(char32_t code) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x061c, 0x061c}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}};
  return std::ranges::any_of(kRanges,
                             [&](auto range) { return range.first <= code && code <= range.second; });
}

std::string escaped(const Character& character) {
  char text[12];
  if (!character.valid || character.code < 0x80) {
    std::snprintf(text, sizeof text, "\\x%02x", static_cast<unsigned char>(character.bytes[0]));
  } else {
    const auto code = static_cast<unsigned long>(character.code);
    std::snprintf(text, sizeof text, code > 0xffff ? "\\U%08lx" : "\\u%04lx", code);
  }
  return text;
}

std::size_t width_of(char32_t code) {
  const int width = ::wcwidth(static_cast<wchar_t>(code));
  return width < 0 ? 0 : static_cast<std::size_t>(width);
}

}  // namespace

std::string printable(std::string_view text_untrusted) {
  std::string text;
  for (std::string_view rest = text_untrusted; !rest.empty();) {
    const Character character = take_character(rest);
    const bool harmless = character.valid && ::wcwidth(static_cast<wchar_t>(character.code)) >= 0 &&
                          character.code != 0 && !turns_text(character.code);
    text += harmless ? std::string(character.bytes) : escaped(character);
  }
  return text;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) columns += width_of(take_character(text).code);
  return columns;
}

std::string cut_middle(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::vector<Character> characters;
  while (!text.empty()) characters.push_back(take_character(text));
  // Of two names in a store the ends differ more often than the beginnings, so the end gets the odd column.
  std::size_t head_room = (columns - 1) / 2;
  std::size_t tail_room = columns - 1 - head_room;
  std::string head, tail;
  for (const Character& character : characters) {
    if (width_of(character.code) > head_room) break;
    head_room -= width_of(character.code);
    head += character.bytes;
  }
  for (auto it = characters.rbegin(); it != characters.rend() && width_of(it->code) <= tail_room; ++it) {
    tail_room -= width_of(it->code);
    tail.insert(0, it->bytes);
  }
  return head + "…" + tail;
}

void use_utf8() { std::setlocale(LC_CTYPE, "C.UTF-8"); }

}  // namespace tensord::tools
