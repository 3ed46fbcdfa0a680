// Ledger: one connection's table of pins. The client writes it, the daemon reads it.
// Question it answers: does this connection still look at the tensor in slot s?
//
//   off  size field      written by                            read by
//     0     8 magic      daemon, once                          client, at connect
//     8     4 slot_count daemon, once                          client, at connect
//    12     4 frozen     client, in fork()'s prepare handler   client (both sides of the fork)
//    16     4 connection daemon, once: this connection's       client: the writer in live_header.hpp
//                        number, never 0
//    64  2048 touched    client: bit c before the first pin    daemon
//                        in chunk c
//  2112   7*272 waits    client: what it sleeps for            daemon, when somebody asks
//  4096  4n  counters    client: views of the tensor in slot s daemon
//  then      ring        ring.hpp: this connection's requests  both
//
//   A chunk is 1024 counters, one page. Reading a hole of a memfd through a mapping allocates
//   its page, so the daemon looks only at chunks whose bit is set: a ledger costs what its
//   client uses.
//
// Zero   zeroed counters pin nothing, and a zeroed wait is none.
// Order  [pin]     client: touched bit, counter += 1, then the slot's word (slot.hpp). All seq_cst;
//                  a thread that finds the bit set by another acquires it, so the bit always
//                  precedes the pin in the one total order.
//        [mark]    daemon: slot word = Dying, then touched bit, then counter. All seq_cst.
//        [shown]   client: the fields of a wait, then its state = Shown (release) -> daemon: state (acquire),
//                  then the fields. A wait that ends meanwhile may be read half: its state is looked at
//                  again.
//        [unpin]   client's reads of the bytes, then counter -= 1 (release) -> daemon: counter
//                  (acquire), then the bytes are given to somebody else.
// Fork   After fork() two processes share this memory, and which of them still looks at what
//        cannot be told from a counter. So the ledger is frozen first: nobody subtracts any more,
//        both sides open a fresh connection for new pins, and the old pins go when the last copy
//        of the old socket is closed. Pins may last too long that way, never too short.
//        tests/models/fork.pml.
// Trust  Everything here is written by a client. The daemon decides by "zero or not" and nothing else;
//        a forged ledger delays frees of what its client was granted, no more. The number itself it only
//        repeats, to who asks for holders, as what that client says.
// Threads Ledger: any number of threads of its client. LedgerScanner: the daemon's one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "shm/ring.hpp"

namespace tensord::shm {

inline constexpr std::uint64_t kLedgerMagic = 0x3130'5245'4744'454c;  // "LEDGER01" read as bytes
inline constexpr std::size_t kLedgerCountersOffset = 4096;
inline constexpr std::uint32_t kCountersPerChunk = 1024;
inline constexpr std::size_t kTouchedWords = 256;  // 64 chunks each
// Views of one tensor by one connection, at most. Far from wrapping, far beyond any use.
inline constexpr std::uint32_t kMaxPinsPerSlot = 1u << 30;
// Waits of one connection that others can see at a time. Further ones sleep just as well, unseen.
inline constexpr std::uint32_t kShownWaits = 7;

// What a thread sleeps for: that a name is published, or that the live tensor in a slot changes.
struct Wait {
  static constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};
  std::uint32_t slot = kNoSlot;  // kNoSlot: for the name
  std::uint64_t since_unix_ns = 0;
  std::string name{};  // at most kMaxNameSize bytes
};

struct WaitCell {
  static constexpr std::size_t kTextWords = 32;
  enum State : std::uint32_t { kFree = 0, kTaken = 1, kShown = 2 };
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> slot;
  std::atomic<std::uint64_t> since_unix_ns;
  std::atomic<std::uint64_t> text[kTextWords];  // a byte that says how many follow, then the name
};
static_assert(sizeof(WaitCell) == 272);

struct LedgerHeader {
  std::uint64_t magic;
  std::uint32_t slot_count;
  std::atomic<std::uint32_t> frozen;
  std::uint32_t connection;
  std::byte reserved[44];
  std::atomic<std::uint64_t> touched[kTouchedWords];
  WaitCell waits[kShownWaits];
};
static_assert(sizeof(LedgerHeader) <= kLedgerCountersOffset && offsetof(LedgerHeader, touched) == 64);
static_assert(offsetof(LedgerHeader, waits) == 2112);
static_assert(std::uint64_t{kTouchedWords} * 64 * kCountersPerChunk >= (1u << 24), "kMaxSlots fits");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

[[nodiscard]] std::size_t ledger_size_bytes(std::uint32_t slot_count);
// Writes the header into zeroed memory of ledger_size_bytes(slot_count) bytes.
void format_ledger(std::span<std::byte> memory, std::uint32_t slot_count, std::uint32_t connection = 1);

// The ring behind the counters. REQUIRES: memory of ledger_size_bytes(slot_count).
[[nodiscard]] RingMemory& ring_of(std::span<std::byte> memory, std::uint32_t slot_count);

class Ledger {
 public:
  Ledger() = default;
  // Checks the header against the memory and the catalog's slot count.
  [[nodiscard]] static std::optional<Ledger> open(std::span<std::byte> memory, std::uint32_t slot_count);

  // One more view of slot s; returns how many there were. REQUIRES: s < slot_count.
  std::uint32_t pin(std::uint32_t s) {
    std::atomic<std::uint64_t>& word = header_->touched[s / kCountersPerChunk / 64];
    const std::uint64_t bit = std::uint64_t{1} << (s / kCountersPerChunk % 64);
    if ((word.load(std::memory_order_acquire) & bit) == 0) word.fetch_or(bit, std::memory_order_seq_cst);
    return counters_[s].fetch_add(1, std::memory_order_seq_cst);
  }

  // One view fewer; returns how many are left. On a frozen ledger it does nothing and returns 1.
  std::uint32_t unpin(std::uint32_t s) {
    if (frozen()) return 1;
    return counters_[s].fetch_sub(1, std::memory_order_seq_cst) - 1;
  }

  // The number by which the daemon knows this connection.
  [[nodiscard]] std::uint32_t connection() const { return header_->connection; }

  void freeze() { header_->frozen.store(1, std::memory_order_seq_cst); }
  [[nodiscard]] bool frozen() const { return header_->frozen.load(std::memory_order_seq_cst) != 0; }

  // Lets others see that a thread is about to sleep. Returns what hide_wait() takes; nothing: there is no
  // cell left, and it sleeps unseen. REQUIRES: wait.name.size() <= kMaxNameSize.
  [[nodiscard]] std::optional<std::uint32_t> show_wait(const Wait& wait);
  void hide_wait(std::uint32_t cell) {
    header_->waits[cell].state.store(WaitCell::kFree, std::memory_order_release);
  }

  // Asks for slot s's counter ahead of pin(): the line arrives while the caller does other work.
  void prefetch(std::uint32_t s) const { __builtin_prefetch(&counters_[s], 1); }

 private:
  LedgerHeader* header_ = nullptr;
  std::atomic<std::uint32_t>* counters_ = nullptr;
};

class LedgerScanner {
 public:
  LedgerScanner() = default;
  // REQUIRES: memory was formatted with this slot count and stays mapped.
  LedgerScanner(std::span<const std::byte> memory, std::uint32_t slot_count);

  // Whether slot s is pinned. Allocates no page of a ledger that its client never touched.
  [[nodiscard]] bool pins(std::uint32_t s) const { return pins_untrusted(s) != 0; }
  // What this cell shows, if the client tells the truth: any slot, and any bytes as a name.
  // REQUIRES: cell < kShownWaits.
  [[nodiscard]] std::optional<Wait> wait_untrusted(std::uint32_t cell) const;
  // How often, if the client tells the truth: any number.
  [[nodiscard]] std::uint32_t pins_untrusted(std::uint32_t s) const {
    const std::uint64_t word = header_->touched[s / kCountersPerChunk / 64].load(std::memory_order_seq_cst);
    if ((word >> (s / kCountersPerChunk % 64) & 1) == 0) return 0;
    return counters_[s].load(std::memory_order_seq_cst);
  }

 private:
  const LedgerHeader* header_ = nullptr;
  const std::atomic<std::uint32_t>* counters_ = nullptr;
};

}  // namespace tensord::shm
