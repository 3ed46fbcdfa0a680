// TensorList: the tensors that somebody asked for, in order, as `tensorctl ls` shows them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "json.hpp"
#include "name_pattern.hpp"
#include "table.hpp"

namespace tensord::tools {

struct ListedTensor {
  TensorInfo info;
  std::uint32_t holders = 0;  // connections that have it attached
};

enum class SortBy : std::uint8_t { kName, kSize, kAge, kHolders };

// Those that match any of the patterns (all, if there are none), by name. One that goes meanwhile is left
// out.
[[nodiscard]] std::vector<ListedTensor> find_tensors(const Store& store,
                                                     const std::vector<NamePattern>& patterns);
// The names alone: no question for each of them.
[[nodiscard]] std::vector<std::string> find_names(const Store& store,
                                                  const std::vector<NamePattern>& patterns);

// The largest, the oldest, the most held come first; equal ones by name.
void sort(std::vector<ListedTensor>& tensors, SortBy by);

[[nodiscard]] Table table_of(const std::vector<ListedTensor>& tensors, bool all_columns);
[[nodiscard]] Json json_of(const std::vector<ListedTensor>& tensors);

}  // namespace tensord::tools
