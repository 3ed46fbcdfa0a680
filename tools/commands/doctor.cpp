// Looks at the machine, and at the store if one runs; starts none.
#include "doctor/report.hpp"

#include <cstdio>
#include <memory>
#include <string>

#include <CLI/App.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "terminal.hpp"

namespace tensord::tools {
namespace {

int run(const Shared& shared, bool list) {
  if (list) {
    std::fputs((shared.json ? doctor::list_as_json() : doctor::list_as_text()).c_str(), stdout);
    return kDone;
  }
  const doctor::Machine machine;
  const doctor::Report report = doctor::examine(machine, doctor::look_around(machine, shared.socket));
  const Terminal terminal = shared.terminal();
  const std::string text = shared.json ? doctor::as_json(report)
                                       : doctor::as_text(report, terminal.width.value_or(0), terminal.color);
  std::fputs(text.c_str(), stdout);
  // Advice is no failure.
  return doctor::worst_of(report) == doctor::Level::kProblem ? kFailed : kDone;
}

}  // namespace

void add_doctor(Commands& commands) {
  const auto list = std::make_shared<bool>(false);
  CLI::App& command =
      commands.add("doctor", "Look at the machine and the store: what to change, and what that buys",
                   [list](const Shared& shared) { return run(shared, *list); });
  command.add_flag("--list", *list, "Say what is looked at, and look at nothing");
}

}  // namespace tensord::tools
