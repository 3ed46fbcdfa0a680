// Patient: a machine and a store as a test makes them up, for `tensorctl doctor` to look at. Healthy, unless
// the test makes it ill.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "doctor/checks.hpp"
#include "fake_machine.hpp"

namespace tensord::test {

using tools::doctor::Daemon;
using tools::doctor::Finding;
using tools::doctor::Findings;
using tools::doctor::Level;
using tools::doctor::Place;

// An environment variable that has another value, or none, for as long as the object is there.
class Variable {
 public:
  explicit Variable(std::string name, const std::optional<std::string>& value = std::nullopt)
      : name_(std::move(name)) {
    if (const char* before = std::getenv(name_.c_str())) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_); }

 private:
  void set(const std::optional<std::string>& value) const {
    value ? ::setenv(name_.c_str(), value->c_str(), 1) : ::unsetenv(name_.c_str());
  }
  std::string name_;
  std::optional<std::string> before_;
};

class Patient {
 public:
  Patient() {
    machine.grants_huge_pages = [] { return true; };
    machine.why_no_sealed_memory = [] { return std::string(); };
    machine.output_of = [](const std::vector<std::string>&) { return std::optional<std::string>(); };
    machine.daemon_program = [] { return std::string("/usr/bin/tensord"); };
    machine.version = "1.2.3";
    sight.places.push_back(
        {"/run/user/1/tensord/tensord.sock", Place::Who::kOwn, Place::State::kAbsent, 0, {}});
  }

  // A daemon runs, with half of its limit used, and its process (pid 77) can be seen.
  StoreStats& runs(const std::vector<std::string>& options = {}) {
    sight.places.front().state = Place::State::kServed;
    sight.places.front().server_uid = ::geteuid();
    Daemon daemon;
    daemon.stats.emplace();
    daemon.stats->version = machine.version;
    daemon.stats->limit_bytes = std::uint64_t{4} << 30;
    daemon.stats->reserved_bytes = daemon.stats->used_bytes = std::uint64_t{2} << 30;
    daemon.stats->largest_free_bytes = std::uint64_t{2} << 30;
    daemon.stats->max_tensors = 1000;
    daemon.stats->max_connections = 100;
    daemon.stats->segments = 10;
    daemon.pid = "77";
    daemon.words = {"/usr/bin/tensord"};
    daemon.words.insert(daemon.words.end(), options.begin(), options.end());
    sight.daemon = std::move(daemon);
    return *sight.daemon->stats;
  }

  [[nodiscard]] Findings findings(std::string_view name) const {
    for (const auto& check : tools::doctor::all_checks()) {
      if (check.name != name) continue;
      Findings found = check.look(machine, sight);
      for (const Finding& finding : found) {
        REQUIRE(finding.level <= check.worst);
        // Who is told that something is wrong is told what to do and why, and nobody else is.
        REQUIRE(finding.change.empty() == (finding.level == Level::kOk));
        REQUIRE(finding.buys.empty() == (finding.level == Level::kOk));
        REQUIRE_FALSE(finding.found.empty());
      }
      return found;
    }
    FAIL("there is no check " << name);
    return {};
  }
  // What a check finds that has one thing to say.
  [[nodiscard]] Finding finding(std::string_view name) const {
    Findings found = findings(name);
    REQUIRE(found.size() == 1);
    return found.front();
  }

  FakeMachine files;
  tools::doctor::Machine machine{files.root()};
  tools::doctor::Sight sight;
};

}  // namespace tensord::test
