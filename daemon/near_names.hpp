// NearNames: which of many names might have been meant by a misspelt one.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace tensord::daemon {

class NearNames {
 public:
  // REQUIRES: `wanted` and every name looked at outlive this object.
  explicit NearNames(std::string_view wanted) : wanted_(wanted) {}

  // False once it has seen enough: a wrong name must not stall the daemon for everybody else.
  bool look_at(std::string_view name);
  // The nearest ones, the best first; empty if none comes near.
  [[nodiscard]] std::vector<std::string_view> best() const;

 private:
  std::string_view wanted_;
  std::size_t work_ = 0;
  std::vector<std::pair<std::size_t, std::string_view>> near_;  // (edits, name), sorted
};

// How many letters must be inserted, deleted or exchanged to make one of the other
// (Levenshtein's distance); `limit` + 1 if it is more than `limit`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

}  // namespace tensord::daemon
