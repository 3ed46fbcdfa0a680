#include <cstdio>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"

namespace tensord::tools {
namespace {

int run(const Shared& shared) {
  const Store store = connect(shared);
  const StoreStats stats = store.stats();
  store.shutdown();
  if (shared.json) {
    print_json({{"stopped", true},
                {"pid", stats.daemon_pid},
                {"socket", store.socket()},
                {"tensors", stats.tensors},
                {"used_bytes", stats.used_bytes}});
  } else {
    std::printf("tensord stopped: pid %u; %u tensors with %s ended with it\n", stats.daemon_pid,
                stats.tensors, human_bytes(stats.used_bytes).c_str());
  }
  return kDone;
}

}  // namespace

void add_stop(Commands& commands) {
  commands.add("stop", "Stop the daemon; the store and all its tensors end", run);
}

}  // namespace tensord::tools
