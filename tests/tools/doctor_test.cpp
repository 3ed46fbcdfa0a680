// `tensorctl doctor`, the program, on this machine: what it says, and its exit codes. Of the machine nothing
// is expected, for it may be any; of the store, what the test made of it.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "daemon_process.hpp"
#include "doctor/report.hpp"
#include "kept_store.hpp"
#include "os/socket.hpp"
#include "patient.hpp"
#include "tensorctl.hpp"

using namespace tensord;
using namespace tensord::test;
using tools::doctor::Entry;
using tools::doctor::Report;

namespace {

// The line of one check, in `doctor`'s output to a pipe.
std::string line_of(const std::string& text, const std::string& check) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::string level, name;
    std::istringstream(line) >> level >> name;
    if (name == check && (level == "ok" || level == "advice" || level == "problem")) return line;
  }
  return "";
}

// The cells of a row of a table in Markdown; none if the line is no such row.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("| ")) return cells;
  for (std::size_t begin = 2, end; (end = line.find(" |", begin)) != std::string::npos; begin = end + 3)
    cells.push_back(line.substr(begin, end - begin));
  return cells;
}

}  // namespace

TEST_CASE("tensorctl doctor says of a store that runs how it is, one line each", "[doctor]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", std::vector<float>(1024));
  const Said said = tensorctl(daemon.socket(), "doctor");
  CHECK_THAT(line_of(said.text, "socket"), contains_text(daemon.socket() + " (--socket) is served, by you"));
  CHECK_THAT(line_of(said.text, "versions"), contains_text("are both " + store.stats().version));
  CHECK_THAT(line_of(said.text, "space"), contains_text("4 KiB of "));
  CHECK_THAT(line_of(said.text, "tensors"), contains_text("1 of 65536 tensors"));
  CHECK_THAT(line_of(said.text, "connections"), contains_text("2 of 1024 connections"));
  CHECK_THAT(line_of(said.text, "sealed-memory"), contains_text("ok"));
  CHECK(said.text.find('\x1b') == std::string::npos);
  // Whatever it is, the exit code says the same as the last line.
  CHECK(said.code == (said.text.find("\n0 problems, ") == std::string::npos ? 1 : 0));
}

TEST_CASE("tensorctl doctor tells a store that is kept from one that is not", "[doctor]") {
  const DaemonProcess alone;
  CHECK_THAT(line_of(tensorctl(alone.socket(), "doctor").text, "kept"), contains_text("advice   kept "));
  const KeptStore kept;
  CHECK_THAT(line_of(tensorctl(kept.socket(), "doctor").text, "kept"), contains_text("kept by a keeper"));
}

TEST_CASE("tensorctl doctor tells everything to programs, too", "[doctor]") {
  const DaemonProcess daemon;
  const Said json = tensorctl(daemon.socket(), "doctor --json");
  std::string text = json.text;
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  CHECK(text.starts_with(R"([{"check":"kernel","level":")"));
  CHECK_THAT(text, contains_text(R"({"check":"socket","level":"ok","found":")" + daemon.socket()));
  CHECK(text.ends_with(R"("change":"","buys":""}])"));
}

TEST_CASE("tensorctl doctor tells a stale socket from one that nobody made, and starts no daemon",
          "[doctor]") {
  std::string socket;
  {
    const DaemonProcess daemon;
    socket = daemon.socket();
  }
  std::filesystem::create_directories(std::filesystem::path(socket).parent_path());
  const Said absent = tensorctl(socket, "doctor");
  CHECK_THAT(line_of(absent.text, "socket"), contains_text("ok") && contains_text("nobody serves it"));
  CHECK(line_of(absent.text, "space").empty());

  { const os::UniqueFd gone = os::listen_seqpacket(socket); }
  const Said stale = tensorctl(socket, "doctor");
  CHECK_THAT(line_of(stale.text, "socket"),
             contains_text("advice") && contains_text("is there, and nobody listens") &&
                 contains_text("Change: `tensorctl --socket " + socket + " start`"));
  std::filesystem::remove_all(std::filesystem::path(socket).parent_path());
}

TEST_CASE("a TENSORD_SOCKET that is none is a problem, and so is tensorctl doctor's exit code", "[doctor]") {
  const Variable named("TENSORD_SOCKET", "/etc/passwd");
  const std::string command = std::string(TENSORCTL) + " doctor";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char chunk[512];
  for (std::size_t size; (size = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;) text.append(chunk, size);
  CHECK(WEXITSTATUS(::pclose(pipe)) == 1);
  CHECK_THAT(line_of(text, "socket"), contains_text("problem") &&
                                          contains_text("/etc/passwd (TENSORD_SOCKET) is no socket") &&
                                          contains_text("unset TENSORD_SOCKET"));
}

TEST_CASE("doctor's report is folded for a terminal, and coloured only there", "[doctor]") {
  const Report report{{"kernel", tools::doctor::ok("Linux 9.9")},
                      {"maps", tools::doctor::problem("one two three four five six seven\x1b[2J eight",
                                                      "do it", "all of it")}};
  CHECK(tools::doctor::worst_of(report) == Level::kProblem);
  CHECK(tools::doctor::as_text(report, 0, false) ==
        "ok       kernel            Linux 9.9\n"
        "problem  maps              one two three four five six seven?[2J eight. Change: do it. Buys: all of "
        "it\n"
        "\n1 problem, 0 pieces of advice, 1 ok\n");
  CHECK_THAT(tools::doctor::as_text(report, 60, false),
             contains_text(
                 "one two three four five six\n                           seven?[2J eight. Change: do it."));
  CHECK_THAT(tools::doctor::as_text(report, 0, true), contains_text("\x1b[31mproblem  \x1b[0mmaps "));
}

TEST_CASE("docs/doctor.md lists the checks that there are, and no others", "[doctor]") {
  std::ifstream page(TENSORD_DOCS "/doctor.md");
  REQUIRE(page);
  std::vector<std::string> documented, made;
  for (std::string line; std::getline(page, line);) {
    const auto cells = cells_of(line);
    if (cells.size() >= 3 && cells[0].starts_with('`'))
      documented.push_back(cells[0].substr(1, cells[0].size() - 2) + ": " + cells[1] + " " + cells[2]);
  }
  for (const auto& check : tools::doctor::all_checks()) {
    made.push_back(std::string(check.name) + ": " + check.asks + " " + tools::doctor::word_of(check.worst));
  }
  CHECK(documented == made);
  const Said list = tensorctl("/nonexistent/socket", "doctor --list");
  CHECK_THAT(list.text, contains_text("problem  memory            Can the machine give"));
  CHECK(list.code == 0);
  CHECK(std::ranges::count(list.text, '\n') == static_cast<std::ptrdiff_t>(made.size()) + 1);
}
