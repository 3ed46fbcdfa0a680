// How long something lasts, as people say it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace tensord::tools {

[[nodiscard]] inline std::string human_duration(std::uint64_t ms) {
  const std::uint64_t s = ms / 1000;
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min";
  if (s < 48 * 3600) return std::to_string(s / 3600) + " h " + std::to_string(s / 60 % 60) + " min";
  return std::to_string(s / 86400) + " days";
}

// Since a moment on the wall clock; "-" if there is none (0).
[[nodiscard]] inline std::string time_since(std::uint64_t unix_ns) {
  if (unix_ns == 0) return "-";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto then = std::chrono::nanoseconds(unix_ns);
  // A clock that was set back is no reason to print nonsense.
  const auto passed = std::max(std::chrono::nanoseconds(now) - then, std::chrono::nanoseconds(0));
  return human_duration(static_cast<std::uint64_t>(passed / std::chrono::milliseconds(1)));
}

}  // namespace tensord::tools
