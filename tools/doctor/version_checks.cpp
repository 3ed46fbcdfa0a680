#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <system_error>

#include "checks.hpp"
#include "program.hpp"

namespace tensord::tools::doctor {
namespace {

// Asked without importing the package where that is possible: NumPy alone takes a tenth of a second.
constexpr const char* kAskPython = R"(
import importlib.util
spec = importlib.util.find_spec("tensord")
version = "none"
if spec is not None:
    try:
        from importlib.metadata import version as installed
        version = installed("tensord")
    except Exception:
        import tensord
        version = tensord.__version__
print(version, spec.origin if spec else "")
)";

std::string python_program() {
  const char* const environment = std::getenv("VIRTUAL_ENV");
  if (environment != nullptr && *environment == '/') {
    if (std::string found = find_program(std::string(environment) + "/bin/python3"); !found.empty())
      return found;
  }
  return find_program("python3");
}

// Seconds since 1970 at which a process was started; 0: not to be seen. proc(5): field 22 of stat counts
// ticks since the start of the machine, and the name in field 2 may have blanks and brackets in it.
std::uint64_t start_of(const Machine& machine, const std::string& pid) {
  const std::string stat = machine.text("/proc/" + pid + "/stat").value_or("");
  const std::size_t name_end = stat.rfind(')');
  const auto machine_start = machine.field("/proc/stat", "btime");
  if (name_end == std::string::npos || !machine_start) return 0;
  std::istringstream words(stat.substr(name_end + 1));
  std::string word;
  for (int field = 3; field <= 22; ++field) words >> word;
  return std::strtoull(machine_start->c_str(), nullptr, 10) +
         std::strtoull(word.c_str(), nullptr, 10) / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

// /proc may round the start of a process down by one.
constexpr std::uint64_t kClockSlack = 2;

// Whether the file that the daemon was started from is another one by now.
bool was_replaced(const Machine& machine, const Daemon& daemon) {
  // Only root may look at this link of a daemon's.
  std::error_code error;
  const auto program = std::filesystem::read_symlink(machine.at("/proc/" + *daemon.pid + "/exe"), error);
  if (!error) return program.string().ends_with(" (deleted)");
  struct stat status {};
  const std::uint64_t started = start_of(machine, *daemon.pid);
  if (started == 0 || !daemon.words.front().starts_with('/')) return false;
  return ::stat(machine.at(daemon.words.front()).c_str(), &status) == 0 &&
         static_cast<std::uint64_t>(status.st_ctime) > started + kClockSlack;
}

}  // namespace

Findings check_program(const Machine& machine, const Sight& sight) {
  const std::string program = machine.daemon_program();
  if (!program.empty()) return {ok("connect() and `tensorctl start` start " + program)};
  const char* const named = std::getenv("TENSORD_DAEMON");
  const std::string found = named != nullptr && *named != '\0'
                                ? "TENSORD_DAEMON is " + std::string(named) + ", which cannot be run"
                                : "no program tensord beside tensorctl, nor on PATH";
  return {{sight.daemon ? Level::kAdvice : Level::kProblem, found, "install it, or name it in TENSORD_DAEMON",
           "connect() can start a daemon where none runs"}};
}

Findings check_versions(const Machine& machine, const Sight& sight) {
  const std::string own = "tensorctl is " + machine.version;
  if (!sight.daemon) return {ok(own + ", and no daemon runs to compare it with")};
  if (sight.daemon->refusal == Errc::kVersionMismatch) {
    return {problem(
        own + "; " + sight.daemon->refusal_text,
        "install one version on both sides, and `tensorctl restart` (in a container: the package of the "
        "host's version)",
        "clients that can connect")};
  }
  if (!sight.daemon->stats) {
    return {problem("the daemon does not answer as it should: " + sight.daemon->refusal_text,
                    "look into its log, and `tensorctl restart`", "clients that can connect")};
  }
  const std::string& theirs = sight.daemon->stats->version;
  if (theirs == machine.version) return {ok("tensorctl and the daemon are both " + theirs)};
  return {
      advice(own + ", the daemon is " + theirs,
             "`tensorctl restart` if the daemon's program is installed anew, else install the same version",
             "the corrections of the newer one; nothing is lost by a restart")};
}

Findings check_replaced_program(const Machine& machine, const Sight& sight) {
  if (!sight.daemon || !sight.daemon->pid) return {};
  if (!was_replaced(machine, *sight.daemon)) return {ok("the daemon runs the program that is installed")};
  return {advice("the daemon (pid " + *sight.daemon->pid + ") runs a program that was replaced on disk since",
                 "`tensorctl restart`", "the installed version; tensors, views and connections stay")};
}

Findings check_python(const Machine& machine, const Sight& sight) {
  const std::string python = python_program();
  if (python.empty()) return {ok("no python3 is on PATH")};
  std::istringstream words(machine.output_of({python, "-c", kAskPython}).value_or(""));
  std::string version, origin;
  words >> version >> origin;
  if (version.empty()) return {ok(python + " did not say which package it has")};
  if (version == "none") return {ok(python + " has no package tensord")};
  const StoreStats* const stats = sight.stats();
  const std::string& other = stats == nullptr ? machine.version : stats->version;
  const std::string found = python + " has tensord " + version + " (" + origin + ")";
  if (version == other) return {ok(found)};
  return {advice(found + ", " + (stats == nullptr ? "tensorctl" : "the daemon") + " is " + other,
                 "`" + python + " -m pip install tensord==" + other + "`",
                 "no VersionMismatchError where the two do not speak the same protocol")};
}

}  // namespace tensord::tools::doctor
