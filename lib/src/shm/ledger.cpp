#include "shm/ledger.hpp"

#include <cassert>
#include <new>

namespace tensord::shm {

namespace {

constexpr std::size_t kPageBytes = 4096;

std::size_t round_up_to_page(std::size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

std::size_t ring_offset(std::uint32_t slot_count) {
  return kLedgerCountersOffset + round_up_to_page(std::size_t{slot_count} * sizeof(std::uint32_t));
}

}  // namespace

std::size_t ledger_size_bytes(std::uint32_t slot_count) {
  return ring_offset(slot_count) + round_up_to_page(sizeof(RingMemory));
}

RingMemory& ring_of(std::span<std::byte> memory, std::uint32_t slot_count) {
  assert(memory.size() == ledger_size_bytes(slot_count));
  return *reinterpret_cast<RingMemory*>(memory.data() + ring_offset(slot_count));
}

void format_ledger(std::span<std::byte> memory, std::uint32_t slot_count, std::uint32_t connection) {
  assert(memory.size() == ledger_size_bytes(slot_count));
  auto* header = new (memory.data()) LedgerHeader{};
  header->magic = kLedgerMagic;
  header->slot_count = slot_count;
  header->connection = connection;
}

std::optional<Ledger> Ledger::open(std::span<std::byte> memory, std::uint32_t slot_count) {
  if (memory.size() != ledger_size_bytes(slot_count)) return std::nullopt;
  auto* header = reinterpret_cast<LedgerHeader*>(memory.data());
  if (header->magic != kLedgerMagic || header->slot_count != slot_count) return std::nullopt;
  Ledger ledger;
  ledger.header_ = header;
  ledger.counters_ = reinterpret_cast<std::atomic<std::uint32_t>*>(memory.data() + kLedgerCountersOffset);
  return ledger;
}

LedgerScanner::LedgerScanner(std::span<const std::byte> memory, std::uint32_t slot_count)
    : header_(reinterpret_cast<const LedgerHeader*>(memory.data())),
      counters_(reinterpret_cast<const std::atomic<std::uint32_t>*>(memory.data() + kLedgerCountersOffset)) {
  assert(memory.size() == ledger_size_bytes(slot_count));
  (void)slot_count;
}

}  // namespace tensord::shm
