// Waiters as `tensorctl waiters` and `tensorctl stat` show them.
#pragma once

#include <vector>

#include <tensord/store.hpp>

#include "json.hpp"
#include "table.hpp"

namespace tensord::tools {

[[nodiscard]] Table table_of(const std::vector<Waiter>& waiters);
[[nodiscard]] Json json_of(const std::vector<Waiter>& waiters);

}  // namespace tensord::tools
