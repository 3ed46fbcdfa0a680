#include <cstdio>
#include <string>

#include "client/locate.hpp"
#include "command.hpp"
#include "commands/commands.hpp"
#include "json.hpp"

namespace tensord::tools {
namespace {

int run(const Shared& shared) {
  // Not the place where some daemon runs: `start` is to give this user one.
  const std::string socket = shared.socket.empty() ? user_socket_path() : shared.socket;
  const bool ran = static_cast<bool>(client::dial(socket));
  if (!ran) start_daemon(socket);
  const StoreStats stats = Store::connect({socket, /*start=*/false}).stats();
  if (shared.json) {
    print_json(
        {{"started", !ran}, {"pid", stats.daemon_pid}, {"version", stats.version}, {"socket", socket}});
  } else if (ran) {
    std::printf("tensord runs already: pid %u serves %s\n", stats.daemon_pid, socket.c_str());
  } else {
    std::printf("tensord started: pid %u serves %s (log: %s.log)\n", stats.daemon_pid, socket.c_str(),
                socket.c_str());
  }
  return kDone;
}

}  // namespace

void add_start(Commands& commands) {
  commands.add("start", "Start a daemon in the background, if none serves the socket", run);
}

}  // namespace tensord::tools
