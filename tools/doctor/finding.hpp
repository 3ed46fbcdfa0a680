// Finding: one thing that `tensorctl doctor` found, in one line: what there is, what to change, what that
// buys.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tensord::tools::doctor {

enum class Level : std::uint8_t {
  kOk,       // nothing to do
  kAdvice,   // it works, and could work better
  kProblem,  // something fails for it, or will
};

[[nodiscard]] constexpr const char* word_of(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kAdvice: return "advice";
    case Level::kProblem: return "problem";
  }
  return "?";
}

struct Finding {
  Level level = Level::kOk;
  std::string found;   // with the figures
  std::string change;  // the very command or setting; empty when there is nothing to change
  std::string buys;
};
using Findings = std::vector<Finding>;

[[nodiscard]] inline Finding ok(std::string found) { return {Level::kOk, std::move(found), {}, {}}; }
[[nodiscard]] inline Finding advice(std::string found, std::string change, std::string buys) {
  return {Level::kAdvice, std::move(found), std::move(change), std::move(buys)};
}
[[nodiscard]] inline Finding problem(std::string found, std::string change, std::string buys) {
  return {Level::kProblem, std::move(found), std::move(change), std::move(buys)};
}

}  // namespace tensord::tools::doctor
