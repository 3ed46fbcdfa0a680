#include "book.hpp"

#include <cassert>

#include "shm/catalog.hpp"

namespace tensord::daemon {
namespace {

constexpr std::size_t kPageBytes = 4096;

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// Each table on a page of its own: a table that nobody uses has no memory.
constexpr std::size_t kNamespacesOffset = kBookClientsOffset + round_up(sizeof(ClientEntry) * kMaxClients);
constexpr std::size_t kSegmentsOffset = kNamespacesOffset + round_up(sizeof(NamespaceEntry) * kMaxNamespaces);
constexpr std::size_t kSlotsOffset =
    kSegmentsOffset + round_up(sizeof(SegmentEntry) * protocol::kMaxSegments);

}  // namespace

std::size_t book_size_bytes(std::uint32_t slot_count) {
  return kSlotsOffset + round_up(sizeof(SlotRecord) * std::size_t{slot_count});
}

Book::Book(std::span<std::byte> memory, std::uint32_t slot_count)
    : header_(reinterpret_cast<BookHeader*>(memory.data())),
      clients_(reinterpret_cast<ClientEntry*>(memory.data() + kBookClientsOffset)),
      namespaces_(reinterpret_cast<NamespaceEntry*>(memory.data() + kNamespacesOffset)),
      segments_(reinterpret_cast<SegmentEntry*>(memory.data() + kSegmentsOffset)),
      slots_(reinterpret_cast<SlotRecord*>(memory.data() + kSlotsOffset)) {
  assert(memory.size() == book_size_bytes(slot_count));
  (void)slot_count;
}

Book Book::begin(std::span<std::byte> memory, std::uint32_t slot_count) {
  Book book(memory, slot_count);
  book.header_->version = kBookVersion;
  book.header_->slot_count = slot_count;
  book.header_->size_bytes = memory.size();
  book.header_->magic = kBookMagic;
  return book;
}

std::optional<Book> Book::open(std::span<std::byte> memory) {
  if (memory.size() < kSlotsOffset) return std::nullopt;
  const auto& header = *reinterpret_cast<const BookHeader*>(memory.data());
  if (header.magic != kBookMagic || header.version != kBookVersion) return std::nullopt;
  const std::uint32_t slots = header.slot_count;
  if (slots < 1 || slots > shm::kMaxSlots || memory.size() != book_size_bytes(slots)) return std::nullopt;
  return Book(memory, slots);
}

}  // namespace tensord::daemon
