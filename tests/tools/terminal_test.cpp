// Tables on a terminal: they fit, their colours mean something, and no name reaches past its cell.
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "terminal.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::Said;
using tensord::test::tensorctl;
using tensord::test::tensorctl_json;
using tensord::test::tensorctl_on_terminal;

namespace {

const std::vector<float> kValues{1, 2, 3};
const std::string kLongName = "first/" + std::string(120, 'm') + "/last";

// Of text in which every character is one column wide.
std::size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
    widest = std::max(widest, static_cast<std::size_t>(columns));
  }
  return widest;
}

}  // namespace

TEST_CASE("a table fits the terminal: names are cut in the middle; in a pipe nothing is", "[tools]") {
  const DaemonProcess daemon;
  daemon.connect().put<float>(kLongName, kValues);
  const Said narrow = tensorctl_on_terminal(daemon.socket(), "ls --color never", 90);
  CHECK(widest_line(narrow.text) == 90);
  CHECK_THAT(narrow.text, contains_text("first/m") && contains_text("…") && contains_text("m/last") &&
                              contains_text("1 tensor, 12 bytes"));
  CHECK(widest_line(tensorctl_on_terminal(daemon.socket(), "ls --color never", 90, "COLUMNS=100").text) ==
        100);
  CHECK_THAT(tensorctl_on_terminal(daemon.socket(), "ls", 200).text, contains_text(kLongName));
  CHECK_THAT(tensorctl(daemon.socket(), "ls").text, contains_text(kLongName) && !contains_text("1 tensor,"));
}

TEST_CASE("wide characters take two columns, and are never cut in half", "[tools]") {
  const DaemonProcess daemon;
  std::string name;
  for (int i = 0; i < 60; ++i) name += "数";
  daemon.connect().put<float>(name, kValues);
  const Said said = tensorctl_on_terminal(daemon.socket(), "ls --color never", 90);
  std::istringstream lines(said.text);
  std::string heading, row;
  REQUIRE((std::getline(lines, heading) && std::getline(lines, row)));
  const auto wide = static_cast<std::size_t>(std::ranges::count(row, '\xe6'));  // the first byte of 数
  CHECK(wide > 5);
  CHECK(widest_line(row) + wide <= 90);
  CHECK(widest_line(row) + wide >= 89);
}

TEST_CASE("colours are for terminals, unless NO_COLOR or --color says otherwise", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("live", kValues, {.kind = Kind::kLive});
  const View view = store.put<float>("dying", kValues);
  store.remove("dying");
  const std::string green = "\x1b[32mlive\x1b[0m", red = "\x1b[31mdying\x1b[0m";
  CHECK_THAT(tensorctl_on_terminal(daemon.socket(), "ls", 120).text, contains_text(green));
  CHECK_THAT(tensorctl_on_terminal(daemon.socket(), "holders", 120).text, contains_text(red));
  CHECK_THAT(tensorctl(daemon.socket(), "ls --color always").text, contains_text(green));
  for (const Said& plain :
       {tensorctl_on_terminal(daemon.socket(), "ls", 120, "NO_COLOR=1"),
        tensorctl_on_terminal(daemon.socket(), "ls", 120, "TERM=dumb"),
        tensorctl_on_terminal(daemon.socket(), "ls --color never", 120), tensorctl(daemon.socket(), "ls")}) {
    CHECK_THAT(plain.text, contains_text("live") && !contains_text("\x1b"));
  }
}

TEST_CASE("a name that a stranger chose cannot talk to the terminal", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  // Names have no control characters, but U+202E turns text round; and what is asked for may be no name.
  const std::string name = "a/\u202eb";
  store.put<float>(name, kValues);
  const View view = store.attach(name);
  const std::string shown = "a/\\u202eb";
  for (const std::string& command :
       std::vector<std::string>{"ls", "ls -1", "stat '" + name + "'", "holders '" + name + "'",
                                "wait '" + name + "'", "rm -n '" + name + "'"}) {
    const Said said = tensorctl_on_terminal(daemon.socket(), command + " --color never", 200);
    CHECK(said.code == 0);
    CHECK_THAT(said.text, contains_text(shown) && !contains_text("\u202e"));
  }
  const Said unknown = tensorctl_on_terminal(daemon.socket(), "stat 'b\u009bc'", 200);
  CHECK(unknown.code == 1);
  CHECK_THAT(unknown.text, contains_text("b\\xc2\\x9bc") && !contains_text("\u009b"));
  const Said nowhere = tensorctl_on_terminal("/nowhere/b\u009bc", "ls", 200);
  CHECK(nowhere.code == 3);
  CHECK_THAT(nowhere.text, contains_text("b\\u009bc") && !contains_text("\u009b"));
  // Programs get the name itself.
  CHECK(tensorctl_json(daemon.socket(), "ls")[0]["name"] == name);
  CHECK(tensorctl(daemon.socket(), "ls -1").text == name + "\n");
}

TEST_CASE("what cannot be written is a failure", "[tools]") {
  const DaemonProcess daemon;
  const Said said = tensord::test::run_shell(std::string(TENSORCTL) + " --socket '" + daemon.socket() +
                                             "' ls --json 2>&1 >/dev/full");
  CHECK(said.code == 1);
  CHECK_THAT(said.text, contains_text("cannot write"));
}
