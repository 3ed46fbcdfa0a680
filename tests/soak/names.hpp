// Names: who owns which names, and of what sort their tensors are. A range belongs to one producer at a time,
// so that only one process at a time puts, replaces or deletes there; everybody looks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "content.hpp"

namespace tensord::soak {

inline constexpr unsigned kRanges = 5;  // of producers; the last kPythonRanges are those in Python
inline constexpr unsigned kPythonRanges = 2;
inline constexpr unsigned kSealedCells = 16;
inline constexpr unsigned kLiveCells = 5;
inline constexpr unsigned kBatchCells = 3;
inline constexpr unsigned kCells = kSealedCells + kLiveCells + kBatchCells;
// More than one message of the protocol holds, in the last.
inline constexpr unsigned kBatchMembers[kBatchCells] = {3, 24, 260};

enum class Sort { kSealed, kLive, kBatch };

// One name, or the names of one batch.
struct Place {
  unsigned range = 0;
  unsigned cell = 0;
};

[[nodiscard]] inline Sort sort_of(unsigned cell) {
  if (cell < kSealedCells) return Sort::kSealed;
  return cell < kSealedCells + kLiveCells ? Sort::kLive : Sort::kBatch;
}

[[nodiscard]] inline Sizes sizes_of(unsigned cell) {
  switch (sort_of(cell)) {
    case Sort::kSealed: return {.max_words = 100'000, .one_huge_in = 200};
    // Large enough that reading one takes as long as it takes others to begin writing it.
    case Sort::kLive: return {.min_words = 8'000, .max_words = 64'000, .one_huge_in = 0};
    case Sort::kBatch: return {.max_words = 2'000, .one_huge_in = 0};
  }
  return {};
}

// Two ranges to a namespace, so that producers share segments.
[[nodiscard]] inline std::string prefix_of(unsigned range) {
  return "soak" + std::to_string(range / 2) + "/" + std::to_string(range) + "/";
}

[[nodiscard]] inline std::vector<std::string> names_of(const Place& place) {
  const std::string name = prefix_of(place.range) + std::to_string(place.cell);
  if (sort_of(place.cell) != Sort::kBatch) return {name};
  std::vector<std::string> names;
  const unsigned members = kBatchMembers[place.cell - kSealedCells - kLiveCells];
  for (unsigned i = 0; i < members; ++i) names.push_back(name + "/" + std::to_string(i));
  return names;
}

// What goes with the connection of one life of the range's producer. The first of them is there as long as
// the daemon has not noticed the end of that life.
[[nodiscard]] inline std::string bound_prefix_of(unsigned range, std::uint64_t life) {
  return prefix_of(range) + "bound/" + std::to_string(life) + "/";
}
inline constexpr Sizes kBoundSizes{.max_words = 2'000, .one_huge_in = 0};

}  // namespace tensord::soak
