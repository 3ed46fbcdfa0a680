// Content: what a tensor of the soak test holds. All of it, its length too, follows from the name, the stamp
// (which of the tensors that ever had the name) and, in a live one, the beat (how often it has been written),
// and the last two stand inside. So any process can tell at any time whether a tensor is right, and no two
// that take each other's place look alike.
//
//   word 0  length in words    1  stamp    2  beat; 0 in a sealed one    3...  pattern(name, stamp, beat)
//
// worker.py does the same in Python.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tensord::soak {

inline constexpr std::size_t kHeaderWords = 3;

// How long tensors of a sort get: so many words, every order of magnitude as often as any other; one in
// `one_huge_in` (0: none) is of kHugeWords, which is more than a copy leaves to one thread.
struct Sizes {
  std::uint64_t min_words = kHeaderWords + 1;
  std::uint64_t max_words = 0;
  std::uint64_t one_huge_in = 0;
};
inline constexpr std::uint64_t kHugeWords = 1'500'000;

[[nodiscard]] std::uint64_t words_of(std::string_view name, std::uint64_t stamp, const Sizes& sizes);

void fill(std::span<std::uint64_t> words, std::string_view name, std::uint64_t stamp, std::uint64_t beat);

struct Marks {
  std::uint64_t stamp = 0;
  std::uint64_t beat = 0;
};
// What it says of itself, if the rest agrees.
[[nodiscard]] std::optional<Marks> read_marks(std::span<const std::uint64_t> words, std::string_view name);
// In what way it is wrong, for people.
[[nodiscard]] std::string describe(std::span<const std::uint64_t> words, std::string_view name);

}  // namespace tensord::soak
