// Slot: one tensor's whole life, as the catalog shows it to every client.
// Question it answers: is the tensor I found still the one I pinned, and where are its bytes?
//
//   off size field            written by (the daemon alone)       read by
//     0    8 word             every transition                    all, at any time
//     8    8 segment          while Building                      all, between two equal words
//    16   48 descriptor       while Building                      clients that hold a checked pin
//    64   64 name             while Building                      the same
//
//   A slot is two cache lines, all that attaching by a name of usual length touches, so that the
//   slots of 65,536 tensors are 8 MiB and stay in a cache. The rest lies elsewhere in the catalog, in
//   a SlotTail of the same number, with the same rules: shape, strides, and names of over 64 bytes.
//
//   word = generation << 8 | state. The generation counts the tensors that lived in this slot;
//   56 bits of it never wrap, so an old word is never mistaken for a new one.
//
//          create             publish              delete, replace
//   Free ---------> Building ---------> Published -----------------> Dying
//     ^                |                                               |
//     |                | abort, creator hung up                        | no ledger pins it
//     +----------------+-----------------------------------------------+   (generation + 1)
//
// Zero   zeroed memory is a Free slot of generation 0.
// Order  [pin]     client: ledger[s] += 1, then load word. Both seq_cst.
//        [mark]    daemon: word = Dying, then load ledger[s] of every client. Both seq_cst.
//                  So at least one of the two sees the other: a client that reads Published has
//                  a pin that the daemon's scan counts. tests/models/pin.pml checks this.
//        [granted] The scan covers only ledgers of clients that were granted the tensor's segment,
//                  so a pin is worth nothing before its holder knows that it was. A checked pin
//                  therefore is: pin, word, segment, "was it granted to me?", the same word again.
//                  Only then may the descriptor be read: name included.
//        [publish] daemon: descriptor, then word = Published (release) -> client: word (acquire).
// Crash  Only the daemon writes here. A client that dies leaves pins in its own ledger, which
//        goes with its socket. Daemon dead: nothing changes any more, views stay valid.
// Trust  The catalog is mapped read-only, yet a client checks offset and size against the segment
//        it mapped, once, before use: a bug or a forged daemon must not become a wild pointer.
//        The daemon never reads its decisions back from here.
// Tests  tests/unit/catalog_test.cpp, tests/concurrency/pin_delete_test.cpp, tests/models/pin.pml
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <tensord/dtype.hpp>
#include <tensord/layout.hpp>
#include <tensord/view.hpp>

namespace tensord::shm {

enum class SlotState : std::uint8_t { kFree = 0, kBuilding = 1, kPublished = 2, kDying = 3 };

// The value of Slot::word: which tensor of this slot, and what state it is in.
struct SlotWord {
  std::uint64_t bits = 0;

  static constexpr SlotWord of(std::uint64_t generation, SlotState state) {
    return {generation << 8 | static_cast<std::uint64_t>(state)};
  }
  [[nodiscard]] constexpr SlotState state() const { return static_cast<SlotState>(bits & 0xff); }
  [[nodiscard]] constexpr std::uint64_t generation() const { return bits >> 8; }
  [[nodiscard]] constexpr SlotWord with(SlotState state) const { return of(generation(), state); }
  friend constexpr bool operator==(SlotWord, SlotWord) = default;
};

// The bytes before a live tensor's first element: its version word has a cache line of its own,
// shared with nobody's data.
inline constexpr std::size_t kLivePrefixBytes = 64;

inline constexpr std::size_t kSlotNameBytes = 64;

struct alignas(64) Slot {
  std::atomic<std::uint64_t> word;

  std::atomic<std::uint64_t> segment;  // the store's number for the segment, never used twice
  std::uint64_t offset;                // bytes from the start of the segment to the first element
  std::uint64_t size_bytes;            // from the first element to the end of the last
  std::uint64_t created_unix_ns;
  std::uint32_t owner_uid;
  DType dtype;
  std::uint8_t ndim;
  std::uint8_t kind;      // Kind
  std::uint8_t lifetime;  // Lifetime
  std::uint8_t name_size;
  std::uint32_t reserved;
  std::uint64_t live_header_offset;  // bytes from the start of the segment; of live tensors

  char name[kSlotNameBytes];  // all of it, or as much as fits

  [[nodiscard]] SlotWord load_word() const { return {word.load(std::memory_order_seq_cst)}; }
  void store_word(SlotWord value) { word.store(value.bits, std::memory_order_seq_cst); }
};
static_assert(sizeof(Slot) == 128);
static_assert(offsetof(Slot, segment) == 8 && offsetof(Slot, name) == 64);

struct Layout {
  std::int64_t shape[kMaxDims];    // elements
  std::int64_t strides[kMaxDims];  // elements
};

struct alignas(64) SlotTail {
  Layout layout;
  char name[kMaxNameSize + 1];  // only of names that do not fit into the slot
};
static_assert(sizeof(SlotTail) == 512);
static_assert(offsetof(Layout, strides) == 128 && offsetof(SlotTail, name) == 256);

[[nodiscard]] inline std::string_view name_of(const Slot& slot, const SlotTail& tail) {
  return {slot.name_size <= kSlotNameBytes ? slot.name : tail.name, slot.name_size};
}
// REQUIRES: name.size() <= kMaxNameSize.
inline void set_name(Slot& slot, SlotTail& tail, std::string_view name) {
  slot.name_size = static_cast<std::uint8_t>(name.size());
  name.copy(slot.name, kSlotNameBytes);
  if (name.size() > kSlotNameBytes) name.copy(tail.name, kMaxNameSize);
}
// Looks at the tail only if everything in the slot agrees.
[[nodiscard]] inline bool has_name(const Slot& slot, const SlotTail& tail, std::string_view name) {
  if (slot.name_size != name.size()) return false;
  if (name.size() <= kSlotNameBytes) return std::memcmp(slot.name, name.data(), name.size()) == 0;
  return std::memcmp(slot.name, name.data(), kSlotNameBytes) == 0 &&
         std::memcmp(tail.name, name.data(), name.size()) == 0;
}
// [trust] Whether all that the slot speaks of lies in a segment of this size; each number is looked at once.
// REQUIRES: segment_bytes >= kLivePrefixBytes.
[[nodiscard]] inline bool lies_inside(const Slot& slot, std::uint64_t segment_bytes) {
  const std::uint64_t offset = slot.offset;
  const std::uint64_t header_offset = slot.live_header_offset;
  return offset <= segment_bytes && slot.size_bytes <= segment_bytes - offset && slot.ndim <= kMaxDims &&
         header_offset <= segment_bytes - kLivePrefixBytes && header_offset % alignof(std::uint64_t) == 0;
}
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "slots are shared between processes");

}  // namespace tensord::shm
