// Table: rows of text in columns as wide as they need to be, for people.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace tensord::tools {

class Table {
 public:
  using Row = std::vector<std::string>;
  explicit Table(Row heading) : rows_{std::move(heading)} {}

  // REQUIRES: as many cells as the heading has.
  void add(Row row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const Row& row : rows_) {
      for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const Row& row : rows_) {
      for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
        text += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
      }
      text += row.back() + "\n";
    }
    return text;
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace tensord::tools
