// Book: what the daemon alone knows of its store, in memory that outlives it.
// Question it answers: what does a daemon have to know, beside the catalog, to go on where another one died?
//
//   +-------------+ 0
//   | BookHeader  |  counters that must never run backwards; the request in hand
//   +-------------+ 4096
//   | clients     |  kMaxClients entries: which connection this is, and its batch of segments
//   +-------------+
//   | namespaces  |  kMaxNamespaces entries: name, owner, group, mode
//   +-------------+
//   | segments    |  kMaxSegments entries: which pool a segment belongs to
//   +-------------+
//   | slots       |  slot_count entries: what the slot of the catalog (shm/slot.hpp) does not tell clients
//   +-------------+ size_bytes
//
// The daemon alone has a descriptor of it. All of it is written as things happen, and read once, by the
// daemon after this one (registry_recovery.cpp). It is as large as the limits allow and mostly holes.
//
// Zero   zeroed memory is the book of an empty store.
// Crash  A process that is killed leaves its stores as if each had been done up to some instruction. So each
//        change has one store by which it happens, of one word, behind all that belongs to it:
//        [slot]      the record, then the slot's word in the catalog (Free -> Building and so on).
//        [entry]     of clients, namespaces, segments: all else, then `id`; 0 when it goes.
//        [batch]     the places in the drafts' records, then `publishing`. From there on it is published, by
//                    this daemon or the next one, and `publishing` is 0 again when all of it is.
//        [in hand]   slot and word, then `client`. The request happened if the slot's word is that one, or a
//                    later one: words only grow.
//        The compiler is kept from moving them by release stores; the processor's order does not matter, for
//        whoever reads them comes after the writer's end.
// Threads one.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <tensord/dtype.hpp>

#include "namespaces.hpp"
#include "protocol/messages.hpp"
#include "protocol/segment_id.hpp"
#include "protocol/tensor_spec.hpp"

namespace tensord::daemon {

// Raised whenever a struct in this file changes in size, order or meaning.
inline constexpr std::uint32_t kBookVersion = 1;
inline constexpr std::uint32_t kMaxClients = 100'000;  // what --max-connections can be set to

// Who asked for what is being done, and the word in the catalog that tells whether it has been done.
struct RequestInHand {
  std::atomic<std::uint32_t> client;  // 0: nothing is
  std::uint32_t type;                 // MessageType
  std::uint32_t id;                   // of the request
  std::uint32_t slot;
  std::uint64_t word;
};

struct BookHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slot_count;
  std::uint64_t size_bytes;
  std::atomic<std::uint32_t> ended;  // 1: the store was stopped; whoever comes next begins a new one
  std::uint32_t last_client;
  std::uint32_t last_namespace;
  std::uint32_t slots_reached;  // from here on none was ever used
  std::uint64_t last_segment_serial;
  std::uint64_t publications;             // so far
  std::atomic<std::uint32_t> publishing;  // [batch] the client whose batch this is; 0: none
  std::uint32_t reserved;
  RequestInHand in_hand;
};

struct ClientEntry {
  std::atomic<std::uint32_t> id;  // 0: free
  std::uint32_t reserved;
  std::uint64_t connected_unix_ns;
  std::uint64_t granted[protocol::kMaxSegments / 64];  // by index of the segment
};

struct NamespaceEntry {
  std::atomic<std::uint32_t> id;  // 0: free
  std::uint32_t owner;
  std::uint32_t group;
  std::uint32_t mode;
  std::uint32_t name_size;
  char name[kMaxNameSize + 1];
};

struct SegmentEntry {
  std::atomic<std::uint64_t> id;  // 0: free
  std::uint32_t namespace_id;
  std::uint8_t kind;
  std::uint8_t shared;
  std::uint16_t reserved;
};

// Valid while the slot's word is not Free.
struct SlotRecord {
  std::uint32_t creator;
  std::uint32_t namespace_id;
  std::uint64_t extent_offset;  // of its room, in the slot's segment
  std::uint64_t extent_bytes;
  std::uint64_t room_offset;
  std::uint64_t room_bytes;
  std::uint64_t publication;  // the how manyth: of two that are published under one name the later one counts
  std::uint32_t batch_place;  // from 1; 0: of no batch
  std::uint8_t replace;
  std::uint8_t is_spare;  // while Building
  std::uint16_t reserved;
};
static_assert(sizeof(SlotRecord) == 56);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::uint64_t kBookMagic = 0x3130'4b4f'4f42'5354;  // "TSBOOK01" read as bytes
inline constexpr std::size_t kBookClientsOffset = 4096;
static_assert(sizeof(BookHeader) <= kBookClientsOffset);

// The bytes that the book of a store with so many slots takes.
[[nodiscard]] std::size_t book_size_bytes(std::uint32_t slot_count);

// Everybody who writes in it shares one.
class Book {
 public:
  Book(Book&&) = default;  // for who begins or opens it
  // Begins a book in zeroed memory. REQUIRES: book_size_bytes(slot_count) bytes, which stay.
  static Book begin(std::span<std::byte> memory, std::uint32_t slot_count);
  // Opens one that somebody else began. Nothing: it is no book of this version.
  [[nodiscard]] static std::optional<Book> open(std::span<std::byte> memory);

  [[nodiscard]] BookHeader& header() { return *header_; }
  [[nodiscard]] const BookHeader& header() const { return *header_; }
  [[nodiscard]] std::uint32_t slot_count() const { return header_->slot_count; }
  [[nodiscard]] std::span<ClientEntry> clients() { return {clients_, kMaxClients}; }
  [[nodiscard]] std::span<NamespaceEntry> namespaces() { return {namespaces_, kMaxNamespaces}; }
  [[nodiscard]] std::span<SegmentEntry> segments() { return {segments_, protocol::kMaxSegments}; }
  [[nodiscard]] SlotRecord& slot(std::uint32_t index) { return slots_[index]; }

  // ---- [in hand] ----
  // What is done from now on is this request. Until done_by() was called, nothing is.
  void take_in_hand(std::uint32_t client, const protocol::RequestHeader& request) {
    header_->in_hand.client.store(0, std::memory_order_release);
    in_hand_client_ = client;
    header_->in_hand.type = static_cast<std::uint32_t>(request.type);
    header_->in_hand.id = request.id;
  }
  // The next time that this slot's word is stored, it is this one, and then the request is done.
  void done_by(std::uint32_t slot, std::uint64_t word) {
    header_->in_hand.slot = slot;
    header_->in_hand.word = word;
    header_->in_hand.client.store(in_hand_client_, std::memory_order_release);
  }

 private:
  explicit Book(std::span<std::byte> memory, std::uint32_t slot_count);

  BookHeader* header_;
  ClientEntry* clients_;
  NamespaceEntry* namespaces_;
  SegmentEntry* segments_;
  SlotRecord* slots_;
  std::uint32_t in_hand_client_ = 0;
};

}  // namespace tensord::daemon
