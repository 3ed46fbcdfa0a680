// `tensorctl doctor` and versions: what is installed, what runs, what Python finds.
#include <filesystem>

#include "doctor/program.hpp"
#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;
using tools::doctor::run_program;

namespace {

void python_says(Patient& patient, const std::string& text) {
  patient.machine.output_of = [text](const std::vector<std::string>& words) -> std::optional<std::string> {
    if (words.size() != 3 || words[0].find("python3") == std::string::npos) return std::nullopt;
    return text;
  };
}

}  // namespace

TEST_CASE("doctor: without a daemon to start, one that is not running is a problem", "[doctor]") {
  const Variable program("TENSORD_DAEMON");
  Patient patient;
  CHECK_THAT(patient.finding("program").found, contains_text("start /usr/bin/tensord"));
  patient.machine.daemon_program = [] { return std::string(); };
  CHECK(patient.finding("program").level == Level::kProblem);
  CHECK_THAT(patient.finding("program").found, contains_text("no program tensord"));
  patient.runs();
  CHECK(patient.finding("program").level == Level::kAdvice);
  const Variable wrong("TENSORD_DAEMON", "/nonexistent/tensord");
  CHECK_THAT(patient.finding("program").found,
             contains_text("TENSORD_DAEMON is /nonexistent/tensord, which cannot be run"));
  CHECK(tools::doctor::Machine().daemon_program().empty());
}

TEST_CASE("doctor: a daemon of another version, or of another protocol, is told with what to do",
          "[doctor]") {
  Patient patient;
  CHECK_THAT(patient.finding("versions").found, contains_text("no daemon runs"));
  patient.runs().version = "1.2.3";
  CHECK(patient.finding("versions").found == "tensorctl and the daemon are both 1.2.3");
  patient.sight.daemon->stats->version = "1.2.2";
  CHECK(patient.finding("versions").level == Level::kAdvice);
  CHECK_THAT(patient.finding("versions").change, contains_text("tensorctl restart"));

  patient.sight.daemon->stats.reset();
  patient.sight.daemon->refusal = Errc::kVersionMismatch;
  patient.sight.daemon->refusal_text = "the daemon (tensord 0.9.0) speaks protocol 3";
  CHECK(patient.finding("versions").level == Level::kProblem);
  CHECK_THAT(patient.finding("versions").found,
             contains_text("tensorctl is 1.2.3; the daemon (tensord 0.9.0) speaks protocol 3"));
  patient.sight.daemon->refusal = Errc::kTimeout;
  CHECK_THAT(patient.finding("versions").found, contains_text("does not answer as it should"));
}

TEST_CASE("doctor: a daemon whose program was replaced on disk is told to be restarted", "[doctor]") {
  Patient patient;
  CHECK(patient.findings("replaced-program").empty());
  patient.runs();
  CHECK(patient.finding("replaced-program").level == Level::kOk);

  SECTION("as root sees it") {
    std::filesystem::create_directories(patient.machine.at("/proc/77"));
    std::filesystem::create_symlink("/usr/bin/tensord", patient.machine.at("/proc/77/exe"));
    CHECK(patient.finding("replaced-program").level == Level::kOk);
    std::filesystem::remove(patient.machine.at("/proc/77/exe"));
    std::filesystem::create_symlink("/usr/bin/tensord (deleted)", patient.machine.at("/proc/77/exe"));
    CHECK(patient.finding("replaced-program").level == Level::kAdvice);
    CHECK(patient.finding("replaced-program").change == "`tensorctl restart`");
  }
  SECTION("as others see it: the file is younger than the process") {
    patient.files.write("usr/bin/tensord", "new");
    patient.files.write("proc/stat", "cpu 1 2 3\nbtime 1000\n");
    patient.files.write("proc/77/stat",
                        "77 (a ) b) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 2 0 500 1 1\n");
    CHECK(patient.finding("replaced-program").level == Level::kAdvice);
    patient.files.write("proc/stat", "cpu 1 2 3\nbtime 99999999999\n");
    CHECK(patient.finding("replaced-program").level == Level::kOk);
  }
}

TEST_CASE("doctor: a Python package of another version is told with the command that helps", "[doctor]") {
  Patient patient;
  python_says(patient, "none \n");
  CHECK_THAT(patient.finding("python").found, contains_text("has no package tensord"));
  python_says(patient, "1.2.3 /site/tensord/__init__.py\n");
  CHECK(patient.finding("python").level == Level::kOk);
  CHECK_THAT(patient.finding("python").found, contains_text("has tensord 1.2.3 (/site/tensord/__init__.py)"));
  patient.runs().version = "1.3.0";
  CHECK(patient.finding("python").level == Level::kAdvice);
  CHECK_THAT(patient.finding("python").change, contains_text("-m pip install tensord==1.3.0"));
  const Variable nowhere("PATH", "/nonexistent");
  const Variable no_environment("VIRTUAL_ENV");
  CHECK(patient.finding("python").found == "no python3 is on PATH");
}

TEST_CASE("doctor: a program that is asked something is run in /, and for no longer than it is worth",
          "[doctor]") {
  CHECK(run_program({"sh", "-c", "pwd; echo said"}) == "/\nsaid\n");
  CHECK_FALSE(run_program({"/nonexistent/program"}));
  CHECK_FALSE(run_program({"sh", "-c", "echo said; exit 1"}));
  CHECK_FALSE(run_program({"sh", "-c", "sleep 600 & echo said; wait"}, std::chrono::milliseconds(100)));
  CHECK_FALSE(run_program({"sh", "-c", "yes"}));
}
