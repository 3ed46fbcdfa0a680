#include "command.hpp"

#include <cstdio>
#include <exception>
#include <map>

#include <CLI/CLI.hpp>
#include <tensord/error.hpp>

#include "client/locate.hpp"
#include "text.hpp"

namespace tensord::tools {
namespace {

int say(const std::exception& error, ExitCode code) {
  tools::say(error);
  return code;
}

// A table that is cut short by a full disk is a failure, and only the flush tells.
int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fputs("tensorctl: cannot write to standard output\n", stderr);
  return kFailed;
}

}  // namespace

NoDaemonError::NoDaemonError(const std::string& socket)
    : std::runtime_error("no tensord runs at " + socket + ": start one with `tensorctl start`") {}

void say(const std::exception& error) {
  std::fflush(stdout);
  // Names that strangers chose are in the texts of errors, too.
  std::fprintf(stderr, "tensorctl: %s\n", printable(error.what()).c_str());
}

std::string chosen_socket(const Shared& shared) {
  return shared.socket.empty() ? running_socket_path() : shared.socket;
}

Store connect(const Shared& shared) {
  const std::string socket = chosen_socket(shared);
  if (!client::dial(socket)) throw NoDaemonError(socket);
  return Store::connect({socket, /*start=*/false});
}

Commands::Commands(CLI::App& app) : app_(app) {
  app_.require_subcommand(1);
  add_shared_options(app_);
}

CLI::App& Commands::add(const std::string& name, const std::string& what, Run run) {
  CLI::App* const command = app_.add_subcommand(name, what);
  add_shared_options(*command);
  commands_.emplace_back(command, std::move(run));
  return *command;
}

// Before the command or behind it, as people write them.
void Commands::add_shared_options(CLI::App& app) {
  static const std::map<std::string, ColorChoice> kChoices{
      {"auto", ColorChoice::kAuto}, {"always", ColorChoice::kAlways}, {"never", ColorChoice::kNever}};
  app.add_option("--socket", shared_.socket,
                 "The daemon's socket; default: $TENSORD_SOCKET, or the usual places")
      ->type_name("PATH");
  app.add_flag("--json", shared_.json, "For programs: JSON on standard output");
  app.add_option("--color", shared_.color, "auto (on a terminal, without NO_COLOR), always or never")
      ->type_name("WHEN")
      ->transform(CLI::CheckedTransformer(kChoices).description(""));
}

int Commands::run() const {
  try {
    for (const auto& [command, run] : commands_) {
      if (command->parsed()) return flushed(run(shared_));
    }
    return kUsage;
  } catch (const UsageError& error) {
    return say(error, kUsage);
  } catch (const NoDaemonError& error) {
    return say(error, kNoDaemon);
  } catch (const TimeoutError& error) {
    return say(error, kTimedOut);
  } catch (const std::exception& error) {
    return say(error, kFailed);
  }
}

}  // namespace tensord::tools
