#include <cstdio>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"

namespace tensord::tools {
namespace {

int run(const Shared& shared) {
  const Store store = connect(shared);
  const StoreStats before = store.stats();
  store.restart_daemon();
  const StoreStats after = store.stats();
  if (shared.json) {
    print_json({{"restarted", true},
                {"pid", after.daemon_pid},
                {"version", after.version},
                {"pid_before", before.daemon_pid},
                {"version_before", before.version},
                {"socket", store.socket()},
                {"tensors", after.tensors},
                {"used_bytes", after.used_bytes}});
  } else {
    std::printf("tensord restarted: pid %u (%s) follows pid %u (%s); %u tensors with %s are still there\n",
                after.daemon_pid, after.version.c_str(), before.daemon_pid, before.version.c_str(),
                after.tensors, human_bytes(after.used_bytes).c_str());
  }
  return kDone;
}

}  // namespace

void add_restart(Commands& commands) {
  commands.add("restart",
               "Have the daemon end and be followed by the program that is installed by now; all stays", run);
}

}  // namespace tensord::tools
