// LiveHeader: the cache line before a live tensor's first element: which version its bytes are, and
// who is changing them.
// Question it answers: are the bytes I have just read those of one version?
//
//   off size field        written by                                      read by
//     0    4 sequence     whoever changes the tensor; the low half of     all; futex
//                         the word: grows with every change of it
//     4    4 writer       the same; connection number, 0 for nobody       all
//     8    8 version      the writer, before the word turns even          all
//    16    4 last_writer  the same; connection number, 0: nobody yet      who waited in vain
//    20   44 reserved     nobody (zero)                                   nobody
//
//   The first two are one 64-bit word and change together. Even sequence: whole. Odd: being written,
//   by `writer`, or torn, if that is kTornWriter or a connection that no longer exists.
//
//            begin: compare-and-swap           end: store
//   (2n, 0) ------------------------> (2n+1, w) ------------> (2n+2, 0)
//                                        |  w died, or gave up (writer = kTornWriter)
//                                        v
//                                   torn: readers fail, until somebody repairs it:
//                                   (2n+1, w) --compare-and-swap--> (2n+3, w')
//
// Zero   a header of zeroes is version 0, whole.
// Order  [begin] the word turns odd, then the writer's stores to the bytes (release fence).
//        [end]   the writer's stores, then the word turns even (release).
//        [read]  the word (acquire), the bytes, then (acquire fence) the word again: equal and even
//                means that no store of a writer was among what was read.
//        A writer that does not use begin and end opts out: its stores may be read half done.
// Crash  A writer that dies in between leaves an odd word with its number. Numbers are given by the
//        daemon, which also knows who lives; so nobody has to guess from a pid.
// Limit  The sequence has 32 bits and is compared for equality only: a reader would have to sleep
//        through exactly 2^31 changes between its two looks to be fooled. `version` counts the
//        same changes in 64 bits, for people and for wait(after=version).
// Trust  Written by every writer of the namespace: whatever stands here, readers neither crash nor
//        hang; they time out.
// Tests  tests/client/live_test.cpp, tests/crash/writer_killed_test.cpp
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shm/slot.hpp"

namespace tensord::shm {

struct LiveWord {
  std::uint32_t sequence = 0;
  std::uint32_t writer = 0;

  [[nodiscard]] constexpr bool whole() const { return sequence % 2 == 0; }
  friend constexpr bool operator==(LiveWord, LiveWord) = default;
};

// The writer of a tensor that was given up half written. No connection has this number.
inline constexpr std::uint32_t kTornWriter = 0xffff'ffff;

struct LiveHeader {
  std::atomic<std::uint64_t> word;
  std::atomic<std::uint64_t> version;
  std::atomic<std::uint32_t> last_writer;
  std::byte reserved[kLivePrefixBytes - 20];

  [[nodiscard]] LiveWord load() const {
    const std::uint64_t bits = word.load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
  }
  // What waiters sleep on: the sequence, the low half of the word, which comes first in memory.
  [[nodiscard]] const void* futex() const { return &word; }

  // [begin] From `seen`, whole, to being written by `writer`; or from torn, to repair. False: it changed.
  bool begin(LiveWord seen, std::uint32_t writer) {
    if (!exchange(seen, held_after(seen, writer))) return false;
    std::atomic_thread_fence(std::memory_order_release);
    return true;
  }
  // The word that begin() made of `seen`.
  [[nodiscard]] static constexpr LiveWord held_after(LiveWord seen, std::uint32_t writer) {
    return {seen.sequence + (seen.whole() ? 1 : 2), writer};
  }
  // [end] False if the word is not `held` any more: somebody took us for dead and repaired.
  bool end(LiveWord held) {
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    last_writer.store(held.writer, std::memory_order_relaxed);
    return exchange(held, {held.sequence + 1, 0});
  }
  bool give_up(LiveWord held) { return exchange(held, {held.sequence, kTornWriter}); }

  // [read] Whether the bytes that were read since `seen` was loaded are all of that version.
  [[nodiscard]] bool still(LiveWord seen) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return seen.whole() && load() == seen;
  }

 private:
  bool exchange(LiveWord from, LiveWord to) {
    std::uint64_t expected = bits_of(from);
    return word.compare_exchange_strong(expected, bits_of(to), std::memory_order_acq_rel,
                                        std::memory_order_relaxed);
  }
  static constexpr std::uint64_t bits_of(LiveWord word) {
    return std::uint64_t{word.writer} << 32 | word.sequence;
  }
};
static_assert(sizeof(LiveHeader) == kLivePrefixBytes && alignof(LiveHeader) == 8);
static_assert(std::endian::native == std::endian::little, "futex() finds the low half of the word first");

}  // namespace tensord::shm
