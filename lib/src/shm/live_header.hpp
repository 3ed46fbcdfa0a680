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
//    20    4 awaited      the daemon sets it for who can only read, who   writers
//                         can write sets it himself; a writer clears it
//    24    4 idle_wakes   writers: wakes in a row that woke nobody        writers
//    28   36 reserved     nobody (zero)                                   nobody
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
//        [wake]  To wake is a system call, so it is made only for who has said that he sleeps. Writer: the
//                word turns even, then `awaited`. Sleeper: `awaited` is set, then the word is what he has
//                seen (the kernel looks, as he falls asleep). All seq_cst, so one of the two sees the other.
//        [calm]  After many wakes for nobody a writer clears `awaited`, while the word is odd, and wakes
//                once more when it is even. A sleeper looks at `awaited` after the word, so that what he sees
//                set was cleared, if at all, by a change of that very word.
//                tests/models/awaited.pml checks both.
// Crash  A writer that dies in between leaves an odd word with its number. Numbers are given by the
//        daemon, which also knows who lives; so nobody has to guess from a pid.
// Limit  The sequence has 32 bits and is compared for equality only: a reader would have to sleep
//        through exactly 2^31 changes between its two looks to be fooled. `version` counts the
//        same changes in 64 bits, for people and for wait(after=version).
//        Somebody who was taken for dead, and clears `awaited` all the same, makes a sleeper late: sleeps are
//        bounded.
// Trust  Written by every writer of the namespace: whatever stands here, readers neither crash nor
//        hang; they time out.
// Tests  tests/client/live_test.cpp, tests/client/awaited_test.cpp, tests/crash/writer_killed_test.cpp
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

// Wakes in a row for nobody, after which it is cheaper to be asked anew: some ten microseconds in all.
inline constexpr std::uint32_t kMaxIdleWakes = 64;

struct LiveHeader {
  std::atomic<std::uint64_t> word;
  std::atomic<std::uint64_t> version;
  std::atomic<std::uint32_t> last_writer;
  std::atomic<std::uint32_t> awaited;
  std::atomic<std::uint32_t> idle_wakes;
  std::byte reserved[kLivePrefixBytes - 28];

  [[nodiscard]] LiveWord load() const {
    const std::uint64_t bits = word.load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
  }
  // What waiters sleep on: the sequence, the low half of the word, which comes first in memory.
  [[nodiscard]] const void* futex() const { return &word; }

  // [wake] Whether the next change of the word wakes who sleeps on it. After a look at the word.
  [[nodiscard]] bool is_awaited() const { return awaited.load(std::memory_order_seq_cst) != 0; }
  // Before a look at the word. From a writable mapping; who has none asks the daemon.
  void set_awaited() { awaited.store(1, std::memory_order_seq_cst); }
  // [calm] For who holds the word: whether nobody has slept for long; then nobody is awaited from here on.
  bool calm_down() {
    if (idle_wakes.load(std::memory_order_relaxed) < kMaxIdleWakes) return false;
    idle_wakes.store(0, std::memory_order_relaxed);
    awaited.store(0, std::memory_order_seq_cst);
    return true;
  }
  // What became of a wake; by anybody, at any time: a count that is a little wrong does no harm.
  void count_wake(bool woke_somebody) {
    const std::uint32_t idle = idle_wakes.load(std::memory_order_relaxed);
    if (!woke_somebody || idle != 0)
      idle_wakes.store(woke_somebody ? 0 : idle + 1, std::memory_order_relaxed);
  }

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
    return word.compare_exchange_strong(expected, bits_of(to), std::memory_order_seq_cst,
                                        std::memory_order_relaxed);
  }
  static constexpr std::uint64_t bits_of(LiveWord word) {
    return std::uint64_t{word.writer} << 32 | word.sequence;
  }
};
static_assert(sizeof(LiveHeader) == kLivePrefixBytes && alignof(LiveHeader) == 8);
static_assert(offsetof(LiveHeader, awaited) == 20 && offsetof(LiveHeader, reserved) == 28);
static_assert(std::endian::native == std::endian::little, "futex() finds the low half of the word first");

}  // namespace tensord::shm
