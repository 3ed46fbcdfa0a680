// The catalog's index is the part that readers see while it changes. Two rules keep that harmless:
// an entry is one 64-bit store, so a reader sees an old one or a new one and never a mixture; and
// whatever a reader concludes is checked again, by the pin and the name for a hit, by the daemon
// for a miss. Nothing else is asked of it.
#include "shm/catalog.hpp"

#include <bit>
#include <cassert>
#include <new>
#include <string_view>

#include "shm/name_hash.hpp"

namespace tensord::shm {
namespace {

constexpr std::size_t kPageBytes = 4096;

std::size_t round_up_to_page(std::size_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

std::uint64_t index_capacity_for(std::uint32_t slot_count) {
  return std::bit_ceil(std::uint64_t{slot_count} * 2);
}

std::size_t slots_offset_for(std::uint32_t slot_count) {
  return kCatalogIndexOffset + round_up_to_page(index_capacity_for(slot_count) * sizeof(std::uint64_t));
}

std::size_t tails_offset_for(std::uint32_t slot_count) {
  return slots_offset_for(slot_count) + round_up_to_page(std::size_t{slot_count} * sizeof(Slot));
}

}  // namespace

std::size_t catalog_size_bytes(std::uint32_t slot_count) {
  assert(slot_count >= 1 && slot_count <= kMaxSlots);
  return round_up_to_page(tails_offset_for(slot_count) + std::size_t{slot_count} * sizeof(SlotTail));
}

std::optional<CatalogReader> CatalogReader::open(std::span<const std::byte> memory) {
  if (memory.size() < kCatalogIndexOffset) return std::nullopt;
  const auto* header = reinterpret_cast<const CatalogHeader*>(memory.data());
  const std::uint32_t slot_count = header->slot_count;
  if (header->magic != kCatalogMagic || header->layout_version != kLayoutVersion) return std::nullopt;
  if (slot_count < 1 || slot_count > kMaxSlots || memory.size() != catalog_size_bytes(slot_count)) {
    return std::nullopt;
  }
  // The rest of the header follows from slot_count, so it is compared rather than believed.
  if (header->size_bytes != memory.size() || header->index_capacity != index_capacity_for(slot_count) ||
      header->slots_offset != slots_offset_for(slot_count) ||
      header->tails_offset != tails_offset_for(slot_count)) {
    return std::nullopt;
  }
  CatalogReader reader;
  reader.header_ = header;
  reader.signals_ = reinterpret_cast<const CatalogSignals*>(memory.data() + kCatalogSignalsOffset);
  reader.index_ = reinterpret_cast<const std::atomic<std::uint64_t>*>(memory.data() + kCatalogIndexOffset);
  reader.slots_ = reinterpret_cast<const Slot*>(memory.data() + slots_offset_for(slot_count));
  reader.tails_ = reinterpret_cast<const SlotTail*>(memory.data() + tails_offset_for(slot_count));
  reader.index_mask_ = index_capacity_for(slot_count) - 1;
  reader.hash_seed_ = header->hash_seed;
  reader.slot_count_ = slot_count;
  return reader;
}

CatalogWriter::CatalogWriter(std::span<std::byte> memory, std::uint32_t slot_count, std::uint64_t hash_seed,
                             std::array<std::uint8_t, 16> store_id) {
  assert(memory.size() == catalog_size_bytes(slot_count));
  new (memory.data()) CatalogHeader{kCatalogMagic,
                                    kLayoutVersion,
                                    slot_count,
                                    index_capacity_for(slot_count),
                                    slots_offset_for(slot_count),
                                    tails_offset_for(slot_count),
                                    memory.size(),
                                    hash_seed,
                                    store_id};
  // Zeroed memory is an empty index, free slots and signals at rest; constructing slots would touch
  // every page.
  lay_out(memory);
}

std::optional<CatalogWriter> CatalogWriter::reopen(std::span<std::byte> memory) {
  if (!CatalogReader::open(memory)) return std::nullopt;
  CatalogWriter writer;
  writer.lay_out(memory);
  return writer;
}

void CatalogWriter::lay_out(std::span<std::byte> memory) {
  const auto& header = *reinterpret_cast<const CatalogHeader*>(memory.data());
  slot_count_ = header.slot_count;
  hash_seed_ = header.hash_seed;
  index_mask_ = header.index_capacity - 1;
  signals_ = reinterpret_cast<CatalogSignals*>(memory.data() + kCatalogSignalsOffset);
  index_ = reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data() + kCatalogIndexOffset);
  slots_ = reinterpret_cast<Slot*>(memory.data() + header.slots_offset);
  tails_ = reinterpret_cast<SlotTail*>(memory.data() + header.tails_offset);
}

std::uint64_t CatalogWriter::load_entry(std::uint64_t position) const {
  return index_[position & index_mask_].load(std::memory_order_relaxed);
}

void CatalogWriter::store_entry(std::uint64_t position, std::uint64_t entry) {
  index_[position & index_mask_].store(entry, std::memory_order_release);
}

std::uint64_t CatalogWriter::home_of(std::uint64_t entry) const {
  const std::uint32_t slot = static_cast<std::uint32_t>(entry) - 1;
  return name_hash(name_of(slots_[slot], tails_[slot]), hash_seed_);
}

bool CatalogWriter::index_insert(std::uint64_t hash, std::uint32_t slot) {
  assert(slot < slot_count_);
  for (std::uint32_t step = 0; step < kMaxProbe; ++step) {
    if (load_entry(hash + step) != 0) continue;
    store_entry(hash + step, (hash & 0xffff'ffff'0000'0000) | (std::uint64_t{slot} + 1));
    return true;
  }
  return false;
}

void CatalogWriter::index_erase(std::uint64_t hash, std::uint32_t slot) {
  const std::uint64_t wanted = (hash & 0xffff'ffff'0000'0000) | (std::uint64_t{slot} + 1);
  std::uint64_t hole = hash;
  for (std::uint32_t step = 0; load_entry(hole) != wanted; ++hole) {
    if (++step == kMaxProbe) return;
  }
  // A probe stops at the first empty entry, so the hole is filled from behind: with the next entry
  // of the run whose own probe passes over the hole. What moved leaves a hole in its turn.
  // Distances are taken modulo the capacity, so a run may wrap around the end of the table.
  for (std::uint64_t next = hole + 1; load_entry(next) != 0; ++next) {
    const std::uint64_t entry = load_entry(next);
    const std::uint64_t from_home = (next - home_of(entry)) & index_mask_;
    if (from_home < ((next - hole) & index_mask_)) continue;
    store_entry(hole, entry);
    hole = next;
  }
  store_entry(hole, 0);
}

void CatalogWriter::index_clear() {
  for (std::uint64_t position = 0; position <= index_mask_; ++position) {
    if (load_entry(position) != 0) store_entry(position, 0);
  }
}

bool CatalogWriter::in_batch() const {
  return signals_->batch_sequence.load(std::memory_order_relaxed) % 2 == 1;
}

void CatalogWriter::begin_batch() {
  const std::uint64_t before = signals_->batch_sequence.load(std::memory_order_relaxed);
  assert(before % 2 == 0);
  // Slots and index are stored with release from here on: who sees one of those sees this.
  signals_->batch_sequence.store(before + 1, std::memory_order_relaxed);
}

void CatalogWriter::end_batch() {
  const std::uint64_t within = signals_->batch_sequence.load(std::memory_order_relaxed);
  assert(within % 2 == 1);
  signals_->batch_sequence.store(within + 1, std::memory_order_release);
}

const void* CatalogWriter::announce(std::uint64_t hash) {
  std::atomic<std::uint32_t>& word = signals_->name_events[hash % kNameEventWords];
  word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  return &word;
}

}  // namespace tensord::shm
