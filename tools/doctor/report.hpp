// Report: what `tensorctl doctor` prints.
#pragma once

#include <string>
#include <vector>

#include "checks.hpp"

namespace tensord::tools::doctor {

struct Entry {
  std::string check;  // the name of a Check
  Finding finding;
};
using Report = std::vector<Entry>;

// All checks, in their order.
[[nodiscard]] Report examine(const Machine& machine, const Sight& sight);

[[nodiscard]] Level worst_of(const Report& report);

// For people: one line for each finding, and one for all of them. `width` 0: lines as long as they are; else
// they are folded to that many columns.
[[nodiscard]] std::string as_text(const Report& report, std::size_t width, bool colour);
// One array of flat objects: check, level, found, change, buys.
[[nodiscard]] std::string as_json(const Report& report);

// The checks themselves: name, the worst that it may find, its question.
[[nodiscard]] std::string list_as_text();
[[nodiscard]] std::string list_as_json();

}  // namespace tensord::tools::doctor
