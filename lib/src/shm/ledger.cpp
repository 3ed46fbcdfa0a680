#include "shm/ledger.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <new>

#include "shm/slot.hpp"

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

// The text of a cell as bytes. It goes through words, for two processes share these.
using WaitText = std::array<char, WaitCell::kTextWords * sizeof(std::uint64_t)>;
using WaitWords = std::array<std::uint64_t, WaitCell::kTextWords>;
static_assert(sizeof(WaitText) == sizeof(WaitWords) && sizeof(WaitText) > kMaxNameSize);

std::optional<std::uint32_t> Ledger::show_wait(const Wait& wait) {
  assert(wait.name.size() <= kMaxNameSize);
  for (std::uint32_t i = 0; i < kShownWaits; ++i) {
    WaitCell& cell = header_->waits[i];
    std::uint32_t state = WaitCell::kFree;
    if (!cell.state.compare_exchange_strong(state, WaitCell::kTaken, std::memory_order_acquire)) continue;
    WaitText text{};
    text[0] = static_cast<char>(wait.name.size());
    wait.name.copy(&text[1], wait.name.size());
    const auto words = std::bit_cast<WaitWords>(text);
    for (std::size_t w = 0; w < words.size(); ++w) cell.text[w].store(words[w], std::memory_order_relaxed);
    cell.slot.store(wait.slot, std::memory_order_relaxed);
    cell.since_unix_ns.store(wait.since_unix_ns, std::memory_order_relaxed);
    cell.state.store(WaitCell::kShown, std::memory_order_release);  // [shown]
    return i;
  }
  return std::nullopt;
}

std::optional<Wait> LedgerScanner::wait_untrusted(std::uint32_t index) const {
  const WaitCell& cell = header_->waits[index];
  if (cell.state.load(std::memory_order_acquire) != WaitCell::kShown) return std::nullopt;  // [shown]
  Wait wait;
  WaitWords words{};
  // Acquire, so that the last look at the state comes after these.
  for (std::size_t w = 0; w < words.size(); ++w) words[w] = cell.text[w].load(std::memory_order_acquire);
  wait.slot = cell.slot.load(std::memory_order_acquire);
  wait.since_unix_ns = cell.since_unix_ns.load(std::memory_order_acquire);
  if (cell.state.load(std::memory_order_relaxed) != WaitCell::kShown) return std::nullopt;
  const auto text = std::bit_cast<WaitText>(words);
  const auto size = std::min<std::size_t>(static_cast<unsigned char>(text[0]), kMaxNameSize);
  wait.name.assign(&text[1], size);
  return wait;
}

LedgerScanner::LedgerScanner(std::span<const std::byte> memory, std::uint32_t slot_count)
    : header_(reinterpret_cast<const LedgerHeader*>(memory.data())),
      counters_(reinterpret_cast<const std::atomic<std::uint32_t>*>(memory.data() + kLedgerCountersOffset)) {
  assert(memory.size() == ledger_size_bytes(slot_count));
  (void)slot_count;
}

}  // namespace tensord::shm
