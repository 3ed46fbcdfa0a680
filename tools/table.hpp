// Table: rows of text in columns as wide as they need to be, for people. On a terminal it fits: what is too
// wide is cut in the middle of its widest column of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "terminal.hpp"

namespace tensord::tools {

// What a colour says; in a pipe nothing.
enum class Style : std::uint8_t { kPlain, kGood, kPending, kBad, kQuiet };

struct Column {
  enum class Holds : std::uint8_t {
    kText,    // to the left; may be cut
    kWord,    // to the left; never cut
    kNumber,  // to the right; never cut
  };
  std::string heading;
  Holds holds = Holds::kText;
};

struct Cell {
  Cell(const std::string& text_untrusted, Style how = Style::kPlain);
  Cell(const char* word, Style how = Style::kPlain) : Cell(std::string(word), how) {}
  std::string text;  // printable (text.hpp)
  Style style;
};

// The text between the terminal's words for a style and for its end; as it is where there are no colours.
[[nodiscard]] std::string styled(const std::string& text, Style style, const Terminal& terminal);

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: as many cells as there are columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  [[nodiscard]] std::string text(const Terminal& terminal) const;
  void print(const Terminal& terminal) const;

 private:
  [[nodiscard]] std::vector<std::size_t> widths(const Terminal& terminal) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace tensord::tools
