// Completion in bash: asked of a real bash that has loaded it.
#include <filesystem>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "tensorctl.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::run_shell;

namespace {

const std::vector<float> kValues{1};

// What bash offers, one a line, for `tensorctl WORDS...`, where the last word is being typed ('' is a new
// one).
std::string offered(const std::string& socket, const std::string& words) {
  const std::string script = std::string("source ") + COMPLETION + "; COMP_WORDS=(" + TENSORCTL + " " +
                             words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tensorctl; "
                             "printf \"%s\\n\" \"${COMPREPLY[@]}\"";
  return run_shell("TENSORD_SOCKET='" + socket + "' bash --norc -c '" + script + "' 2>&1").text;
}

}  // namespace

TEST_CASE("bash completes commands and options", "[tools]") {
  CHECK(offered("/nonexistent/socket", "sta") == "start\nstatus\nstat\n");
  CHECK(offered("/nonexistent/socket", "ls --re") == "--reverse\n");
  CHECK(offered("/nonexistent/socket", "ls --sort h") == "holders\n");
  CHECK_THAT(offered("/nonexistent/socket", "rm --"),
             contains_text("--dry-run\n") && contains_text("--json\n"));
  CHECK(offered("/nonexistent/socket", "--color n") == "never\n");
}

TEST_CASE("bash completes names of tensors, and runs nothing that stands in one", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::string mark = (daemon.directory() / "ran").string();
  for (const std::string& name : {std::string("run/a"), std::string("run/b"), std::string("other"),
                                  "evil$(touch " + mark + ")", std::string("two words")}) {
    store.put<float>(name, kValues);
  }
  for (const std::string command : {"stat", "holders", "rm", "wait", "ls", "rm --prefix"})
    CHECK(offered(daemon.socket(), command + " run") == "run/a\nrun/b\n");
  CHECK(offered("/nonexistent/socket", "--socket " + daemon.socket() + " stat o") == "other\n");
  CHECK(offered(daemon.socket(), "stat two") == "two\\ words\n");
  CHECK_THAT(offered(daemon.socket(), "stat evil"), contains_text("evil\\$\\("));
  CHECK(!std::filesystem::exists(mark));
  CHECK(offered(daemon.socket(), "status r") == "\n");
}
