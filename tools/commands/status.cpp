#include <cstdio>
#include <string>

#include "client/locate.hpp"
#include "command.hpp"
#include "commands/commands.hpp"
#include "duration.hpp"
#include "human.hpp"
#include "json.hpp"

namespace tensord::tools {
namespace {

Json json_of(const std::string& socket, const StoreStats& stats) {
  return {{"running", true},
          {"socket", socket},
          {"version", stats.version},
          {"pid", stats.daemon_pid},
          {"uptime_ms", stats.uptime_ms},
          {"tensors", stats.tensors},
          {"max_tensors", stats.max_tensors},
          {"dying_tensors", stats.dying_tensors},
          {"building_tensors", stats.building_tensors},
          {"segments", stats.segments},
          {"connections", stats.connections},
          {"max_connections", stats.max_connections},
          {"used_bytes", stats.used_bytes},
          {"dying_bytes", stats.dying_bytes},
          {"reserved_bytes", stats.reserved_bytes},
          {"largest_free_bytes", stats.largest_free_bytes},
          {"limit_bytes", stats.limit_bytes},
          {"kept_by", word_of(stats.kept_by)},
          {"published", stats.published},
          {"published_bytes", stats.published_bytes},
          {"deleted", stats.deleted}};
}

void print_lines(const std::string& socket, const StoreStats& stats) {
  const auto line = [](const char* what, const std::string& value) {
    std::printf("%-12s %s\n", what, value.c_str());
  };
  line("daemon", "tensord " + stats.version + ", pid " + std::to_string(stats.daemon_pid) + ", up " +
                     human_duration(stats.uptime_ms));
  line("socket", socket);
  line("tensors", std::to_string(stats.tensors) + " of " + std::to_string(stats.max_tensors) + " (" +
                      std::to_string(stats.building_tensors) + " being built, " +
                      std::to_string(stats.dying_tensors) + " deleted but still viewed)");
  line("memory", human_bytes(stats.used_bytes) + " used (" + human_bytes(stats.dying_bytes) +
                     " of it dying), " + human_bytes(stats.reserved_bytes) + " reserved in " +
                     std::to_string(stats.segments) + " segments, limit " + human_bytes(stats.limit_bytes));
  line("connections", std::to_string(stats.connections) + " of " + std::to_string(stats.max_connections) +
                          ", this one included");
  line("since start", std::to_string(stats.published) + " tensors published with " +
                          human_bytes(stats.published_bytes) + ", " + std::to_string(stats.deleted) +
                          " deleted");
  line("kept by", stats.kept_by == KeptBy::kNobody ? "nobody: the store ends with the daemon"
                                                   : std::string("the ") + word_of(stats.kept_by) +
                                                         ": a daemon that ends is followed by another");
}

int run(const Shared& shared) {
  const std::string socket = chosen_socket(shared);
  if (!client::dial(socket)) {  // that nobody runs is an answer here
    if (shared.json) {
      print_json({{"running", false}, {"socket", socket}});
    } else {
      std::printf("no tensord runs at %s\n", socket.c_str());
    }
    return kNoDaemon;
  }
  const StoreStats stats = connect(shared).stats();
  shared.json ? print_json(json_of(socket, stats)) : print_lines(socket, stats);
  return kDone;
}

}  // namespace

void add_status(Commands& commands) {
  commands.add("status", "Say whether a daemon runs, and what it holds", run);
}

}  // namespace tensord::tools
