// Catalog: the table of all tensors, in one shared-memory object. The daemon writes it, every
// client maps it read-only.
//
//   +--------------------+ 0
//   | CatalogHeader      |   fixed for the life of the store
//   +--------------------+ 2048
//   | CatalogSignals     |   what tells clients that something has just changed
//   +--------------------+ 4096
//   | index              |   index_capacity entries of 8 bytes: tag << 32 | slot + 1
//   +--------------------+ slots_offset (a multiple of 4096)
//   | slots              |   slot_count slots of 128 bytes: all that attach reads (slot.hpp)
//   +--------------------+ tails_offset (a multiple of 4096)
//   | tails              |   slot_count tails of 512 bytes: shapes, strides, long names
//   +--------------------+ size_bytes
//
// The index is a hint. It is open addressing with linear probing and at most half full; the
// daemon moves entries when it deletes, while clients probe. A client that finds nothing has
// therefore learnt nothing and asks the daemon, whose own map decides; a client that finds a
// slot pins it and compares the name. So the index needs no lock and no sequence number.
//
// Classes  CatalogReader for clients, CatalogWriter for the daemon. Both take a span and make no
//          system call; the caller owns the memory and keeps it mapped.
// Threads  CatalogReader: any number. CatalogWriter: one thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shm/slot.hpp"

namespace tensord::shm {

// Raised whenever a struct in shm/ changes in size, order or meaning.
inline constexpr std::uint32_t kLayoutVersion = 5;
inline constexpr std::uint32_t kMaxSlots = 1u << 24;  // the ledger header's bitmap ends here

struct CatalogHeader {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t slot_count;
  std::uint64_t index_capacity;  // a power of two, at least twice slot_count
  std::uint64_t slots_offset;
  std::uint64_t tails_offset;
  std::uint64_t size_bytes;
  std::uint64_t hash_seed;
  std::array<std::uint8_t, 16> store_id;  // random; tells two stores apart
};
static_assert(sizeof(CatalogHeader) == 72);

inline constexpr std::uint32_t kNameEventWords = 256;

// Signals: the words by which the daemon says that something has just changed.
// Question they answer: has anything been published since I looked?
//
//   off size field           written by (the daemon alone)              read by
//     0    8 batch_sequence  odd while tensors are published together   who attaches several at once
//    64 1024 name_events     word (hash mod 256) grows after a name     who waits for a name; futex
//                            of that hash was published
//
// Order  [batch]  daemon: odd; slots and index (release); even (release). Client: the words of some slots
//                 (acquire), all Published; the sequence (acquire), even; the same words again, all
//                 still Published. If the first look saw a tensor of a batch, the sequence is at least that
//                 batch's odd one; it is even, so the batch is over; so the second look finds all that it
//                 replaced gone.
//        [event]  daemon: the name is published, then the word grows, then the futex is woken if anybody has
//                 said since the last time that he waits. Waiter: the word, then he asks the daemon for the
//                 name and says that he waits, then he sleeps while the word is what it was. So a name that
//                 was not there yet changes the word before or during the sleep, never unseen.
// Limit  A word stands for many names and has 32 bits: a wake-up proves nothing, and sleeps are bounded.
struct CatalogSignals {
  alignas(64) std::atomic<std::uint64_t> batch_sequence;
  alignas(64) std::array<std::atomic<std::uint32_t>, kNameEventWords> name_events;
};
static_assert(sizeof(CatalogSignals) == 64 + 4 * kNameEventWords);
static_assert(offsetof(CatalogSignals, name_events) == 64);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "waiters of other processes sleep on them");

inline constexpr std::uint64_t kCatalogMagic = 0x3130'474f'4c41'5443;  // "CTALOG01" read as bytes
inline constexpr std::size_t kCatalogSignalsOffset = 2048;
inline constexpr std::size_t kCatalogIndexOffset = 4096;
static_assert(sizeof(CatalogHeader) <= kCatalogSignalsOffset);
static_assert(kCatalogSignalsOffset + sizeof(CatalogSignals) <= kCatalogIndexOffset);
// Entries looked at before giving up. At half load, runs this long do not occur by chance; if they
// do, the daemon leaves the name out of the index and answers for it itself.
inline constexpr std::uint32_t kMaxProbe = 64;

// The bytes a catalog of this many slots takes. REQUIRES: 1 <= slot_count <= kMaxSlots.
[[nodiscard]] std::size_t catalog_size_bytes(std::uint32_t slot_count);

class CatalogReader {
 public:
  CatalogReader() = default;
  // Checks the header against the memory it lies in; nothing if it is not a catalog of this layout.
  [[nodiscard]] static std::optional<CatalogReader> open(std::span<const std::byte> memory);

  [[nodiscard]] std::uint32_t slot_count() const { return slot_count_; }
  [[nodiscard]] std::uint64_t hash_seed() const { return hash_seed_; }
  [[nodiscard]] const std::array<std::uint8_t, 16>& store_id() const { return header_->store_id; }
  // REQUIRES: index < slot_count().
  [[nodiscard]] const Slot& slot(std::uint32_t index) const { return slots_[index]; }
  [[nodiscard]] const SlotTail& tail(std::uint32_t index) const { return tails_[index]; }

  // [batch] Odd while the daemon publishes several tensors together.
  [[nodiscard]] std::uint64_t batch_sequence() const {
    return signals_->batch_sequence.load(std::memory_order_acquire);
  }
  // [event] The word that grows when a name of this hash is published: load it (acquire), look for the
  // name, sleep on it.
  [[nodiscard]] const std::atomic<std::uint32_t>& name_event(std::uint64_t hash) const {
    return signals_->name_events[hash % kNameEventWords];
  }

  // Asks for what find() reads first: it arrives while the caller does other work.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&index_[hash & index_mask_]); }
  // Calls `try_slot(index)` for each slot whose name may have this hash, until one returns true.
  template <class TrySlot>
  bool find(std::uint64_t hash, TrySlot&& try_slot) const {
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::uint32_t step = 0; step < kMaxProbe; ++step) {
      const std::uint64_t entry = index_[(hash + step) & index_mask_].load(std::memory_order_acquire);
      if (entry == 0) return false;
      const auto slot = static_cast<std::uint32_t>(entry) - 1;
      if (static_cast<std::uint32_t>(entry >> 32) == tag && slot < slot_count_ && try_slot(slot)) return true;
    }
    return false;
  }

 private:
  const CatalogHeader* header_ = nullptr;
  const CatalogSignals* signals_ = nullptr;
  const std::atomic<std::uint64_t>* index_ = nullptr;
  const Slot* slots_ = nullptr;
  const SlotTail* tails_ = nullptr;
  std::uint64_t index_mask_ = 0;
  std::uint64_t hash_seed_ = 0;
  std::uint32_t slot_count_ = 0;
};

class CatalogWriter {
 public:
  // Formats zeroed memory of catalog_size_bytes(slot_count) bytes.
  CatalogWriter(std::span<std::byte> memory, std::uint32_t slot_count, std::uint64_t hash_seed,
                std::array<std::uint8_t, 16> store_id);
  // Goes on with a catalog that another daemon left. Nothing if it is not one of this layout.
  [[nodiscard]] static std::optional<CatalogWriter> reopen(std::span<std::byte> memory);

  [[nodiscard]] Slot& slot(std::uint32_t index) { return slots_[index]; }
  [[nodiscard]] SlotTail& tail(std::uint32_t index) { return tails_[index]; }
  [[nodiscard]] std::uint32_t slot_count() const { return slot_count_; }
  [[nodiscard]] std::uint64_t hash_seed() const { return hash_seed_; }

  // Enters a name's hash. False if there is no room within kMaxProbe: then only the daemon finds it.
  bool index_insert(std::uint64_t hash, std::uint32_t slot);
  // Takes it out again and closes the gap. Does nothing if it is not there.
  void index_erase(std::uint64_t hash, std::uint32_t slot);
  // Leaves an empty index. Readers find nothing meanwhile, and ask.
  void index_clear();

  // [batch] Around the publication of several tensors that are to be seen together. Does not nest.
  void begin_batch();
  void end_batch();
  [[nodiscard]] bool in_batch() const;  // between the two, if only because a daemon died there
  // [event] Says that a name of this hash was published: REQUIRES that it can be found by now. Returns
  // the word for the caller to wake its waiters (futex); this class makes no system call.
  const void* announce(std::uint64_t hash);

 private:
  CatalogWriter() = default;
  void lay_out(std::span<std::byte> memory);
  [[nodiscard]] std::uint64_t load_entry(std::uint64_t position) const;
  void store_entry(std::uint64_t position, std::uint64_t entry);
  // Where an entry's probe begins: the low bits of its hash, which the entry itself does not hold.
  [[nodiscard]] std::uint64_t home_of(std::uint64_t entry) const;

  CatalogSignals* signals_ = nullptr;
  std::atomic<std::uint64_t>* index_ = nullptr;
  Slot* slots_ = nullptr;
  SlotTail* tails_ = nullptr;
  std::uint64_t index_mask_ = 0;
  std::uint64_t hash_seed_ = 0;
  std::uint32_t slot_count_ = 0;
};

}  // namespace tensord::shm
