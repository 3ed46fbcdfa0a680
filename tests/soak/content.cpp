#include "content.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tensord::soak {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;

// The finaliser of splitmix64: every bit of the result hangs on every bit of the value.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// FNV-1a.
std::uint64_t hash(std::string_view name) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

std::uint64_t key_of(std::string_view name, std::uint64_t stamp, std::uint64_t beat) {
  return mix(hash(name) ^ mix(stamp * kOdd + beat));
}

std::uint64_t pattern(std::uint64_t key, std::uint64_t i) { return (key + i) * kOdd; }

}  // namespace

std::uint64_t words_of(std::string_view name, std::uint64_t stamp, const Sizes& sizes) {
  const std::uint64_t draw = mix(hash(name) + stamp * kOdd);
  if (sizes.one_huge_in != 0 && draw % sizes.one_huge_in == 0) return kHugeWords;
  // In whole numbers, so that Python's is the same: a power of two, and so far to the next.
  const auto doublings = static_cast<unsigned>(std::bit_width(sizes.max_words / sizes.min_words));
  const std::uint64_t base = sizes.min_words << ((draw >> 8) % doublings);
  return std::min(base + (draw >> 16) % base, sizes.max_words);
}

void fill(std::span<std::uint64_t> words, std::string_view name, std::uint64_t stamp, std::uint64_t beat) {
  const std::uint64_t key = key_of(name, stamp, beat);
  words[0] = words.size();
  words[1] = stamp;
  words[2] = beat;
  for (std::size_t i = kHeaderWords; i < words.size(); ++i) words[i] = pattern(key, i);
}

std::optional<Marks> read_marks(std::span<const std::uint64_t> words, std::string_view name) {
  if (words.size() <= kHeaderWords || words[0] != words.size()) return std::nullopt;
  const Marks marks{words[1], words[2]};
  const std::uint64_t key = key_of(name, marks.stamp, marks.beat);
  std::uint64_t wrong = 0;
  for (std::size_t i = kHeaderWords; i < words.size(); ++i) wrong |= words[i] ^ pattern(key, i);
  return wrong == 0 ? std::optional(marks) : std::nullopt;
}

std::string describe(std::span<const std::uint64_t> words, std::string_view name) {
  std::string text = std::to_string(words.size()) + " words";
  if (words.size() <= kHeaderWords) return text;
  text += ", says: length " + std::to_string(words[0]) + ", stamp " + std::to_string(words[1]) + ", beat " +
          std::to_string(words[2]);
  const std::uint64_t key = key_of(name, words[1], words[2]);
  std::size_t wrong = 0, first = 0, last = 0, zero = 0;
  for (std::size_t i = kHeaderWords; i < words.size(); ++i) {
    if (words[i] == pattern(key, i)) continue;
    if (wrong++ == 0) first = i;
    last = i;
    if (words[i] == 0) ++zero;
  }
  return text + "; " + std::to_string(wrong) + " words wrong, from " + std::to_string(first) + " to " +
         std::to_string(last) + ", of them zero " + std::to_string(zero);
}

}  // namespace tensord::soak
