#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "holder_list.hpp"
#include "json.hpp"
#include "text.hpp"

namespace tensord::tools {
namespace {

using Name = std::optional<std::string>;

int run(const Shared& shared, const Name& name) {
  const Store store = connect(shared);
  const auto holders = name ? store.holders(*name) : store.holders();
  if (shared.json) {
    print_json(json_of(holders));
  } else if (!holders.empty()) {
    table_of(holders).print(shared.terminal());
  } else {
    std::printf("nobody holds %s\n", name ? printable(*name).c_str() : "memory that no name leads to");
  }
  return kDone;
}

}  // namespace

void add_holders(Commands& commands) {
  const auto name = std::make_shared<Name>();
  CLI::App& command = commands.add("holders", "Say who pins a tensor, dying ones of its name included",
                                   [name](const Shared& shared) { return run(shared, *name); });
  command.add_option("NAME", *name, "Without: who holds memory that no name leads to")->type_name("");
}

}  // namespace tensord::tools
