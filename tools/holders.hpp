// Holders: what `tensorctl holders` prints.
#pragma once

#include <string>
#include <vector>

#include <tensord/store.hpp>

namespace tensord::tools {

// `name` is what was asked about; empty: everything that no name leads to.
void print_holders_table(const std::string& name, const std::vector<Holder>& holders);
// One array of flat objects.
void print_holders_json(const std::vector<Holder>& holders);

}  // namespace tensord::tools
