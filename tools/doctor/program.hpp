// Programs that are asked something: run for what they print, and for no longer than they are worth.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace tensord::tools::doctor {

// The path of a program that can be run, looked for on PATH if it has no slash; empty: there is none.
[[nodiscard]] std::string find_program(const std::string& name);

inline constexpr std::chrono::seconds kProgramTimeout{5};
inline constexpr std::size_t kMostOutputBytes = 64 * 1024;

// Its standard output; nothing if it cannot be run, fails, says more than kMostOutputBytes or is not done in
// time (it is killed then). It runs in "/", so that files of the folder that the user happens to be in mean
// nothing.
[[nodiscard]] std::optional<std::string> run_program(const std::vector<std::string>& words,
                                                     std::chrono::milliseconds timeout = kProgramTimeout);

}  // namespace tensord::tools::doctor
