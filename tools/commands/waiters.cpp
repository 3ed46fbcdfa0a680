#include <cstdio>

#include "command.hpp"
#include "commands/commands.hpp"
#include "json.hpp"
#include "waiter_list.hpp"

namespace tensord::tools {
namespace {

int run(const Shared& shared) {
  const auto waiters = connect(shared).waiters();
  if (shared.json) {
    print_json(json_of(waiters));
  } else if (waiters.empty()) {
    std::puts("nobody waits");
  } else {
    table_of(waiters).print(shared.terminal());
  }
  return kDone;
}

}  // namespace

void add_waiters(Commands& commands) {
  commands.add("waiters", "Say who sleeps until a tensor is there, or changes", run);
}

}  // namespace tensord::tools
