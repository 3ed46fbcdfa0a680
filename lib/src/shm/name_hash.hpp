// NameHash: 64 bits from a name, the same in every process and every build.
//
// The hash only picks where to look; the name itself is always compared. It is part of the
// layout (clients probe the index with it), so it is ours rather than std::hash, which may
// differ between two programs. The seed is drawn by the daemon for each store, so that
// colliding names cannot be prepared in advance.
#pragma once

#include <bit>
#include <cstddef>
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

// The last `count` bytes of the name, 0 <= count <= 8, as load_word() would return them: from one
// load that begins before them, where the name has the bytes. A copy of variable size is a call.
inline std::uint64_t load_tail(std::string_view name, std::size_t count) {
  const char* const end = name.data() + name.size();
  if (name.size() < 8 || std::endian::native != std::endian::little) return load_word(end - count, count);
  return count == 0 ? 0 : load_word(end - 8, 8) >> (64 - 8 * count);
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
  const std::uint64_t tail_low = rest < 8 ? detail::load_tail(name, rest) : detail::load_word(&name[at], 8);
  const std::uint64_t tail_high = rest < 8 ? 0 : detail::load_tail(name, rest - 8);
  state = detail::fold_multiply(tail_low ^ kOddB, tail_high ^ state);
  return detail::fold_multiply(state ^ kOddA, name.size() ^ kOddB);
}

}  // namespace tensord::shm
