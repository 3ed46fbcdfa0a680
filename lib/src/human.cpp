#include "human.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace tensord {
namespace {

constexpr std::array<const char*, 6> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 32> text{};
  const bool whole = std::floor(value) == value;
  std::snprintf(text.data(), text.size(), whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !(value >= 0)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty() || unit == "B" || unit == "bytes") unit = "bytes";
  for (const std::string_view known : kUnits) {
    // "M", "MB" and "MiB" all mean 2^20: nobody who limits memory means a million.
    const bool matches = unit == known || (unit.size() <= 2 && unit[0] == known[0] && known != "bytes" &&
                                           (unit.size() == 1 || unit[1] == 'B'));
    if (matches) return value < 0x1p62 ? std::optional(static_cast<std::uint64_t>(value)) : std::nullopt;
    value *= 1024;
  }
  return std::nullopt;
}

}  // namespace tensord
