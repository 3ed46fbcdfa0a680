// tensorctl: starts, stops and looks at a daemon. This file only wires.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>
#include <tensord/store.hpp>
#include <tensord/version.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "text.hpp"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 it failed, the reason is on standard error; 2 wrong usage;\n"
    "3 no tensord runs there; 4 it took too long.";

// The daemon beside this program, so that the two always fit; else whichever is on PATH.
void prefer_daemon_beside(const char* argv0) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = (error ? std::filesystem::path(argv0) : self).parent_path() / "tensord";
  if (std::filesystem::exists(beside, error)) tensord::set_daemon_path(beside.string());
}

int run(int argc, char** argv) {
  using namespace tensord::tools;
  use_utf8();
  CLI::App app{"tensorctl starts, stops and looks at a tensord daemon."};
  app.set_version_flag("--version", "tensorctl " + std::string(tensord::kVersion));
  app.footer(kFooter);
  Commands commands(app);
  for (const auto add : {add_start, add_stop, add_restart, add_status, add_ls, add_stat, add_holders,
                         add_users, add_rm, add_wait, add_waiters, add_doctor}) {
    add(commands);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  prefer_daemon_beside(argv[0]);
  return commands.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tensorctl: %s\n", error.what());
    return tensord::tools::kFailed;
  }
}
