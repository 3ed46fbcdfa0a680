// Segment ids: an index, so that tables of segments are arrays, and a serial number above it, so
// that no id is ever used twice. 48 bits of serial numbers outlast any machine.
#pragma once

#include <cstdint>

namespace tensord::protocol {

inline constexpr unsigned kSegmentIndexBits = 14;
inline constexpr std::uint32_t kMaxSegments = 1u << kSegmentIndexBits;  // at once, in one store

[[nodiscard]] constexpr std::uint32_t segment_index(std::uint64_t id) {
  return static_cast<std::uint32_t>(id) & (kMaxSegments - 1);
}
[[nodiscard]] constexpr std::uint64_t make_segment_id(std::uint64_t serial, std::uint32_t index) {
  return serial << kSegmentIndexBits | index;
}

}  // namespace tensord::protocol
