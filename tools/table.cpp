#include "table.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

#include "text.hpp"

namespace tensord::tools {
namespace {

constexpr std::size_t kGap = 2;        // between two columns
constexpr std::size_t kNarrowest = 8;  // a column of text is not cut below this

const char* code_of(Style style) {
  switch (style) {
    case Style::kGood: return "\x1b[32m";
    case Style::kPending: return "\x1b[33m";
    case Style::kBad: return "\x1b[31m";
    case Style::kQuiet: return "\x1b[2m";
    case Style::kPlain: break;
  }
  return "";
}

std::string padding(std::size_t width, std::size_t taken) {
  return std::string(width > taken ? width - taken : 0, ' ');
}

}  // namespace

Cell::Cell(const std::string& text_untrusted, Style how) : text(printable(text_untrusted)), style(how) {}

std::string styled(const std::string& text, Style style, const Terminal& terminal) {
  if (!terminal.color || style == Style::kPlain) return text;
  return code_of(style) + text + "\x1b[0m";
}

std::vector<std::size_t> Table::widths(const Terminal& terminal) const {
  std::vector<std::size_t> widths;
  std::vector<std::size_t> cuttable;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_of(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, columns_of(row[i].text));
    widths.push_back(width);
    if (columns_[i].holds == Column::Holds::kText) cuttable.push_back(i);
  }
  if (!terminal.width) return widths;
  // One column at a time from the widest: so they meet, and short words stay whole.
  std::size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  for (; total > *terminal.width && !cuttable.empty(); --total) {
    const auto widest = *std::ranges::max_element(cuttable, {}, [&](std::size_t i) { return widths[i]; });
    if (widths[widest] <= kNarrowest) break;
    --widths[widest];
  }
  return widths;
}

std::string Table::text(const Terminal& terminal) const {
  const std::vector<std::size_t> widths = this->widths(terminal);
  std::string text;
  const auto add_row = [&](const std::vector<Cell>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string shown = cut_middle(row[i].text, widths[i]);
      const std::string blanks = padding(widths[i], columns_of(shown));
      const std::string cell = styled(shown, row[i].style, terminal);
      const bool last = i + 1 == row.size();
      if (columns_[i].holds == Column::Holds::kNumber) {
        text += blanks + cell;
      } else {
        text += last ? cell : cell + blanks;  // nothing invisible at the end of a line
      }
      text += last ? "\n" : std::string(kGap, ' ');
    }
  };
  std::vector<Cell> heading;
  heading.reserve(columns_.size());
  for (const Column& column : columns_) heading.emplace_back(column.heading, Style::kQuiet);
  add_row(heading);
  for (const auto& row : rows_) add_row(row);
  return text;
}

void Table::print(const Terminal& terminal) const { std::fputs(text(terminal).c_str(), stdout); }

}  // namespace tensord::tools
