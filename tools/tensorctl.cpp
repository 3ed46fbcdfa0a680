// tensorctl: start, stop, restart and look at a daemon.
//
// Exit codes: 0 done; 1 it failed, the reason is on standard error; 2 wrong usage;
// 3 (status, stop, restart, holders, users) no daemon runs there.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <tensord/tensord.hpp>
#include <tensord/version.hpp>

#include "client/locate.hpp"
#include "doctor.hpp"
#include "duration.hpp"
#include "holders.hpp"
#include "human.hpp"
#include "json.hpp"
#include "users.hpp"

namespace {

using tensord::human_bytes;
using tensord::Store;
using tensord::StoreStats;
using tensord::tools::human_duration;

constexpr int kNotRunning = 3;
// The daemon beside this program, so that the two always fit; else whichever is on PATH.
void prefer_daemon_beside(const char* argv0) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = (error ? std::filesystem::path(argv0) : self).parent_path() / "tensord";
  if (std::filesystem::exists(beside, error)) tensord::set_daemon_path(beside.string());
}

void print_json(const std::string& socket, const StoreStats& stats) {
  tensord::tools::JsonObject object;
  object.add("running", true)
      .add("socket", socket)
      .add("version", stats.version)
      .add("pid", stats.daemon_pid);
  object.add("uptime_ms", stats.uptime_ms)
      .add("tensors", stats.tensors)
      .add("max_tensors", stats.max_tensors);
  object.add("dying_tensors", stats.dying_tensors).add("building_tensors", stats.building_tensors);
  object.add("segments", stats.segments).add("connections", stats.connections);
  object.add("max_connections", stats.max_connections).add("used_bytes", stats.used_bytes);
  object.add("dying_bytes", stats.dying_bytes).add("reserved_bytes", stats.reserved_bytes);
  object.add("largest_free_bytes", stats.largest_free_bytes).add("limit_bytes", stats.limit_bytes);
  std::puts(object.text().c_str());
}

void print_table(const std::string& socket, const StoreStats& stats) {
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
}

// Nothing if no daemon runs there; other failures throw.
std::optional<Store> connect_to_running(const std::string& socket) {
  if (!tensord::client::dial(socket)) return std::nullopt;
  return Store::connect({socket, /*start=*/false});
}

std::string chosen_socket(const std::string& asked_for) {
  return asked_for.empty() ? tensord::running_socket_path() : asked_for;
}

int start(const std::string& asked_for) {
  const std::string socket = asked_for.empty() ? tensord::user_socket_path() : asked_for;
  if (const auto running = connect_to_running(socket)) {
    std::printf("tensord runs already: pid %u serves %s\n", running->stats().daemon_pid, socket.c_str());
    return EXIT_SUCCESS;
  }
  tensord::start_daemon(socket);
  const Store store = Store::connect({socket, false});
  std::printf("tensord started: pid %u serves %s (log: %s.log)\n", store.stats().daemon_pid, socket.c_str(),
              socket.c_str());
  return EXIT_SUCCESS;
}

int stop(const std::string& asked_for) {
  const std::string socket = chosen_socket(asked_for);
  const auto store = connect_to_running(socket);
  if (!store) {
    std::printf("no tensord runs at %s\n", socket.c_str());
    return kNotRunning;
  }
  const StoreStats stats = store->stats();
  store->shutdown();
  std::printf("tensord stopped: pid %u; %u tensors with %s ended with it\n", stats.daemon_pid, stats.tensors,
              human_bytes(stats.used_bytes).c_str());
  return EXIT_SUCCESS;
}

int restart(const std::string& asked_for) {
  const std::string socket = chosen_socket(asked_for);
  const auto store = connect_to_running(socket);
  if (!store) {
    std::printf("no tensord runs at %s\n", socket.c_str());
    return kNotRunning;
  }
  const StoreStats before = store->stats();
  store->restart_daemon();
  const StoreStats after = store->stats();
  std::printf("tensord restarted: pid %u (%s) follows pid %u (%s); %u tensors with %s are still there\n",
              after.daemon_pid, after.version.c_str(), before.daemon_pid, before.version.c_str(),
              after.tensors, human_bytes(after.used_bytes).c_str());
  return EXIT_SUCCESS;
}

int status(const std::string& asked_for, bool json) {
  const std::string socket = chosen_socket(asked_for);
  const auto store = connect_to_running(socket);
  if (!store) {
    if (json) {
      std::puts(tensord::tools::JsonObject().add("running", false).add("socket", socket).text().c_str());
    } else {
      std::printf("no tensord runs at %s\n", socket.c_str());
    }
    return kNotRunning;
  }
  (json ? print_json : print_table)(socket, store->stats());
  return EXIT_SUCCESS;
}

int holders(const std::string& asked_for, const std::optional<std::string>& name, bool json) {
  const std::string socket = chosen_socket(asked_for);
  const auto store = connect_to_running(socket);
  if (!store) {
    std::fprintf(stderr, "no tensord runs at %s\n", socket.c_str());
    return kNotRunning;
  }
  const auto found = name ? store->holders(*name) : store->holders();
  if (json) {
    tensord::tools::print_holders_json(found);
  } else {
    tensord::tools::print_holders_table(name.value_or(""), found);
  }
  return EXIT_SUCCESS;
}

int users(const std::string& asked_for, bool json) {
  const std::string socket = chosen_socket(asked_for);
  const auto store = connect_to_running(socket);
  if (!store) {
    std::fprintf(stderr, "no tensord runs at %s\n", socket.c_str());
    return kNotRunning;
  }
  (json ? tensord::tools::print_users_json : tensord::tools::print_users_table)(store->users());
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"tensorctl starts, stops and looks at a tensord daemon."};
  app.set_version_flag("--version", "tensorctl " + std::string(tensord::kVersion));
  app.require_subcommand(1);
  app.fallthrough();
  std::string socket;
  app.add_option("--socket", socket,
                 "The daemon's socket; default: $TENSORD_SOCKET, else the standard places");
  bool json = false;
  CLI::App* const start_command =
      app.add_subcommand("start", "Start a daemon for this user in the background");
  CLI::App* const stop_command = app.add_subcommand("stop", "Stop it; its tensors go with it");
  CLI::App* const restart_command = app.add_subcommand(
      "restart", "Have the program that is installed now go on where the running one is; nothing is lost");
  CLI::App* const status_command = app.add_subcommand("status", "Say whether one runs, and what it holds");
  status_command->add_flag("--json", json, "Machine-readable");
  CLI::App* const holders_command =
      app.add_subcommand("holders", "Say who holds the memory of a tensor, dying ones of its name included");
  std::optional<std::string> name;
  holders_command->add_option("name", name, "Without: who holds memory that no name leads to");
  holders_command->add_flag("--json", json, "Machine-readable");
  CLI::App* const users_command =
      app.add_subcommand("users", "Say what each user has and may have: you, or all if you are root");
  users_command->add_flag("--json", json, "Machine-readable");
  CLI::App* const doctor_command =
      app.add_subcommand("doctor", "Look at the machine and the store: what to change, and what that buys");
  bool list = false;
  doctor_command->add_flag("--json", json, "Machine-readable");
  doctor_command->add_flag("--list", list, "Say what is looked at, and look at nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  prefer_daemon_beside(argv[0]);
  try {
    if (start_command->parsed()) return start(socket);
    if (stop_command->parsed()) return stop(socket);
    if (restart_command->parsed()) return restart(socket);
    if (status_command->parsed()) return status(socket, json);
    if (users_command->parsed()) return users(socket, json);
    if (doctor_command->parsed()) {
      using tensord::tools::DoctorWants;
      return tensord::tools::run_doctor(socket, list ? DoctorWants::kList : DoctorWants::kFindings, json);
    }
    if (holders_command->parsed()) return holders(socket, name, json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tensorctl: %s\n", error.what());
  }
  return EXIT_FAILURE;
}
