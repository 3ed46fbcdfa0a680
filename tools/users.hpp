// Users: what `tensorctl users` prints.
#pragma once

#include <vector>

#include <tensord/store.hpp>

namespace tensord::tools {

void print_users_table(const std::vector<UserStats>& users);
// One array of flat objects.
void print_users_json(const std::vector<UserStats>& users);

}  // namespace tensord::tools
