// How long something lasts, as people say it.
#pragma once

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

}  // namespace tensord::tools
