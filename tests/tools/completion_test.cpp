// Completion in bash, zsh and fish: asked of the real shells, which have loaded it.
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
  const std::string script = std::string("source ") + COMPLETION "/tensorctl.bash; COMP_WORDS=(" + TENSORCTL +
                             " " + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tensorctl; "
                             "printf \"%s\\n\" \"${COMPREPLY[@]}\"";
  return run_shell("TENSORD_SOCKET='" + socket + "' bash --norc -c '" + script + "' 2>&1").text;
}

bool is_installed(const std::string& program) { return run_shell("command -v " + program).code == 0; }

// The command line that zsh makes of `tensorctl WORDS` when it puts in all that it offers for the last word;
// without the program.
std::string zsh_makes(const std::string& socket, const std::string& words) {
  const std::string made =
      run_shell("TENSORD_SOCKET='" + socket + "' zsh -f '" ZSH_OFFERS "' " COMPLETION " '" TENSORCTL + " " +
                words + "' 2>&1")
          .text;
  return made.starts_with(TENSORCTL) ? made.substr(std::string_view(TENSORCTL " ").size()) : made;
}

// What fish offers for it, one a line, each with what it is beside it.
std::string fish_offers(const std::string& socket, const std::string& words) {
  return run_shell("TENSORD_SOCKET='" + socket +
                   "' fish --no-config -c 'source " COMPLETION "/tensorctl.fish; complete -C \"" TENSORCTL
                   " " +
                   words + "\"' 2>&1")
      .text;
}

// Names that a shell could trip over. MARK is a file that is there if one of them was run.
void put_awkward_names(const Store& store, const std::string& mark) {
  for (const std::string& name : {std::string("run/a"), std::string("run/b"), std::string("other"),
                                  "evil$(touch " + mark + ")", std::string("two words")}) {
    store.put<float>(name, kValues);
  }
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
  put_awkward_names(store, mark);
  for (const std::string command : {"stat", "holders", "rm", "wait", "ls", "rm --prefix"})
    CHECK(offered(daemon.socket(), command + " run") == "run/a\nrun/b\n");
  CHECK(offered("/nonexistent/socket", "--socket " + daemon.socket() + " stat o") == "other\n");
  CHECK(offered(daemon.socket(), "stat two") == "two\\ words\n");
  CHECK_THAT(offered(daemon.socket(), "stat evil"), contains_text("evil\\$\\("));
  CHECK(!std::filesystem::exists(mark));
  CHECK(offered(daemon.socket(), "status r") == "\n");
}

TEST_CASE("zsh completes commands, options and names, and runs nothing that stands in one", "[tools]") {
  if (!is_installed("zsh")) {
    WARN("skipped: there is no zsh");
    return;
  }
  CHECK(zsh_makes("/nonexistent/socket", "sta") == "start stat status \n");
  CHECK(zsh_makes("/nonexistent/socket", "ls --re") == "ls --reverse \n");
  CHECK(zsh_makes("/nonexistent/socket", "ls --sort h") == "ls --sort holders \n");
  CHECK(zsh_makes("/nonexistent/socket", "--color n") == "--color never \n");
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::string mark = (daemon.directory() / "ran").string();
  put_awkward_names(store, mark);
  for (const std::string command : {"stat", "holders", "rm", "wait", "ls", "rm --prefix"})
    CHECK(zsh_makes(daemon.socket(), command + " run") == command + " run/a run/b \n");
  const std::string by_option = "--socket " + daemon.socket() + " stat ";
  CHECK(zsh_makes("/nonexistent/socket", by_option + "o") == by_option + "other \n");
  CHECK(zsh_makes(daemon.socket(), "stat two") == "stat two\\ words \n");
  CHECK_THAT(zsh_makes(daemon.socket(), "stat evil"), contains_text("stat evil\\$\\("));
  CHECK(!std::filesystem::exists(mark));
  CHECK(zsh_makes(daemon.socket(), "status r") == "status r\n");
}

TEST_CASE("fish completes commands, options and names, and runs nothing that stands in one", "[tools]") {
  if (!is_installed("fish")) {
    WARN("skipped: there is no fish");
    return;
  }
  CHECK_THAT(fish_offers("/nonexistent/socket", "sto"), contains_text("stop\tStop the daemon"));
  CHECK(fish_offers("/nonexistent/socket", "ls --re") == "--reverse\tThe other way round\n");
  CHECK(fish_offers("/nonexistent/socket", "ls --sort h") == "holders\n");
  CHECK(fish_offers("/nonexistent/socket", "--color n") == "never\n");
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::string mark = (daemon.directory() / "ran").string();
  put_awkward_names(store, mark);
  for (const std::string command : {"stat", "holders", "rm", "wait", "ls", "rm --prefix"})
    CHECK(fish_offers(daemon.socket(), command + " run") == "run/a\nrun/b\n");
  CHECK(fish_offers("/nonexistent/socket", "--socket " + daemon.socket() + " stat o") == "other\n");
  CHECK(fish_offers(daemon.socket(), "stat two") == "two words\n");  // fish quotes it where it puts it in
  CHECK_THAT(fish_offers(daemon.socket(), "stat evil"), contains_text("evil$(touch"));
  CHECK(!std::filesystem::exists(mark));
  CHECK(fish_offers(daemon.socket(), "status r").empty());
}
