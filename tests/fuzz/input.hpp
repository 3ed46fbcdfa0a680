// Input: the fuzzer's bytes, read as a program: numbers, choices, pieces. Past its end everything is zero, so
// that every input means something, and a prefix of an input means the beginning of the same thing.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace tensord::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }

  template <class T>
  requires std::is_trivially_copyable_v<T> T take() {
    T value{};
    copy_to(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::uint8_t byte() { return take<std::uint8_t>(); }
  // Less than `count`. REQUIRES: 1 <= count <= 256.
  std::size_t below(std::size_t count) { return byte() % count; }
  bool flip() { return below(2) == 1; }
  // Mostly small; at times anything, and at times what is near a power of two, where arithmetic breaks.
  std::uint64_t number() {
    const std::uint8_t how = byte();
    if (how < 160) return how % 80;
    if (how < 192) return take<std::uint64_t>();
    return (std::uint64_t{1} << (how % 64)) + static_cast<std::uint64_t>(static_cast<std::int8_t>(byte()));
  }

  std::span<const std::uint8_t> piece(std::size_t most) {
    const auto taken = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  // What there is; the rest of `memory` stays as it is.
  void copy_to(std::span<std::byte> memory) {
    const auto taken = piece(memory.size());
    if (!taken.empty()) std::memcpy(memory.data(), taken.data(), taken.size());
  }
  // Overwrites single bytes, or short runs of them, somewhere in `memory`.
  void scribble(std::span<std::byte> memory) {
    const std::size_t at = take<std::uint32_t>() % memory.size();
    copy_to(memory.subspan(at, std::min(1 + below(16), memory.size() - at)));
  }

 private:
  std::span<const std::uint8_t> rest_;
};

// What must be true whatever the input. Otherwise the input is kept by the fuzzer, with this text.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not true: %s\n", what);
  std::abort();
}

}  // namespace tensord::fuzz
