// NameHash: 64 bits from a name, the same in every process and every build.
//
// The hash only picks where to look; the name itself is always compared. It is part of the
// layout (clients probe the index with it), so it is ours rather than std::hash, which may
// differ between two programs. The seed is drawn by the daemon for each store, so that
// colliding names cannot be prepared in advance.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tensord::shm {

namespace detail {

__extension__ using Uint128 = unsigned __int128;

// One multiplication spreads every input bit over 128 bits; folding keeps both halves.
inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<Uint128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t load_word(const char* bytes, std::size_t count) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, count);
  return word;
}

}  // namespace detail

inline std::uint64_t name_hash(std::string_view name, std::uint64_t seed) {
  constexpr std::uint64_t kOddA = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  constexpr std::uint64_t kOddB = 0xc2b2ae3d27d4eb4f;  // a prime of mixed bits
  std::uint64_t state = seed ^ kOddA;
  std::size_t at = 0;
  for (; at + 16 <= name.size(); at += 16) {
    state = detail::fold_multiply(detail::load_word(&name[at], 8) ^ kOddB,
                                  detail::load_word(&name[at + 8], 8) ^ state);
  }
  const std::size_t rest = name.size() - at;
  const std::size_t low = rest < 8 ? rest : 8;
  const std::uint64_t tail_low = detail::load_word(name.data() + at, low);
  const std::uint64_t tail_high = detail::load_word(name.data() + at + low, rest - low);
  state = detail::fold_multiply(tail_low ^ kOddB, tail_high ^ state);
  return detail::fold_multiply(state ^ kOddA, name.size() ^ kOddB);
}

}  // namespace tensord::shm
