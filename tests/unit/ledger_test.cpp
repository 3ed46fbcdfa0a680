#include "catch.hpp"

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "shm/catalog.hpp"
#include "shm/ledger.hpp"
#include "zeroed_memory.hpp"

using namespace tensord::shm;
using tensord::test::ZeroedMemory;

namespace {

struct Fixture {
  explicit Fixture(std::uint32_t slot_count) : memory(ledger_size_bytes(slot_count)) {
    format_ledger(memory.bytes(), slot_count);
    ledger = Ledger::open(memory.bytes(), slot_count).value();
    scanner = LedgerScanner(memory.bytes(), slot_count);
  }
  void forge_counter(std::uint32_t slot, std::uint32_t value) {
    std::memcpy(memory.bytes().data() + kLedgerCountersOffset + slot * sizeof value, &value, sizeof value);
  }

  ZeroedMemory memory;
  Ledger ledger;
  LedgerScanner scanner;
};

}  // namespace

TEST_CASE("a fresh ledger pins nothing", "[ledger]") {
  Fixture fixture(5000);
  for (std::uint32_t slot = 0; slot < 5000; ++slot) REQUIRE_FALSE(fixture.scanner.pins(slot));
  CHECK_FALSE(fixture.ledger.frozen());
}

TEST_CASE("pins of one slot are counted, and leave the others alone", "[ledger]") {
  Fixture fixture(4096);
  CHECK(fixture.ledger.pin(17) == 0);
  CHECK(fixture.ledger.pin(17) == 1);
  CHECK(fixture.ledger.pin(18) == 0);
  CHECK(fixture.scanner.pins(17));
  CHECK(fixture.ledger.unpin(17) == 1);
  CHECK(fixture.scanner.pins(17));
  CHECK(fixture.ledger.unpin(17) == 0);
  CHECK_FALSE(fixture.scanner.pins(17));
  CHECK(fixture.scanner.pins(18));
  CHECK_FALSE(fixture.scanner.pins(16));
}

TEST_CASE("the scanner repeats whatever number stands in a counter that was touched", "[ledger]") {
  Fixture fixture(4096);
  fixture.forge_counter(5, 0xffff'ffff);
  CHECK(fixture.scanner.pins_untrusted(5) == 0);
  fixture.ledger.pin(6);
  CHECK(fixture.scanner.pins_untrusted(5) == 0xffff'ffff);
  CHECK(fixture.scanner.pins_untrusted(6) == 1);
  CHECK(fixture.scanner.pins_untrusted(7) == 0);
}

TEST_CASE("the ends of chunks, and of the largest ledger, are counters like any other", "[ledger]") {
  Fixture fixture(kMaxSlots);
  const std::uint32_t slots[] = {
      0, 1023, 1024, 2047, 64 * 1024 - 1, 64 * 1024, kMaxSlots - 1025, kMaxSlots - 1};
  for (const std::uint32_t pinned : slots) {
    CAPTURE(pinned);
    fixture.ledger.pin(pinned);
    for (const std::uint32_t slot : slots) REQUIRE(fixture.scanner.pins(slot) == (slot == pinned));
    fixture.ledger.unpin(pinned);
    REQUIRE_FALSE(fixture.scanner.pins(pinned));
  }
}

TEST_CASE("the daemon does not look at chunks that the client never touched", "[ledger]") {
  Fixture fixture(4096);
  // Only the client's own code sets the bit, so a counter without it is seen only by whoever reads
  // the counters' page, which would bring that page into being.
  fixture.forge_counter(3000, 1);
  CHECK_FALSE(fixture.scanner.pins(3000));
  fixture.ledger.pin(3001);  // the same chunk
  CHECK(fixture.scanner.pins(3000));
}

TEST_CASE("a frozen ledger keeps every pin, and takes new ones", "[ledger]") {
  Fixture fixture(64);
  fixture.ledger.pin(5);
  Ledger other = Ledger::open(fixture.memory.bytes(), 64).value();  // as after fork(): the same memory
  fixture.ledger.freeze();
  CHECK(other.frozen());
  CHECK(fixture.ledger.unpin(5) == 1);
  CHECK(other.unpin(5) == 1);
  CHECK(fixture.scanner.pins(5));
  other.pin(6);
  CHECK(other.unpin(6) == 1);
  CHECK(fixture.scanner.pins(6));
}

TEST_CASE("a ledger of the wrong size, slot count or making is not opened", "[ledger]") {
  ZeroedMemory memory(ledger_size_bytes(4096));
  CHECK_FALSE(Ledger::open(memory.bytes(), 4096));  // not formatted
  format_ledger(memory.bytes(), 4096);
  CHECK(Ledger::open(memory.bytes(), 4096));
  CHECK_FALSE(Ledger::open(memory.bytes(), 4095));  // of the same size in pages
  CHECK_FALSE(Ledger::open(memory.bytes(), 8192));
  CHECK_FALSE(Ledger::open(memory.bytes().first(memory.bytes().size() - 4096), 4096));
  CHECK_FALSE(Ledger::open(memory.bytes().first(0), 4096));
  memory.bytes()[0] = std::byte{0};
  CHECK_FALSE(Ledger::open(memory.bytes(), 4096));
}

TEST_CASE("garbage in a ledger is zero or not zero, and nothing else", "[ledger]") {
  constexpr std::uint32_t kSlots = 3000;
  Fixture fixture(kSlots);
  std::mt19937 random(7);
  for (std::byte& byte : fixture.memory.bytes()) byte = static_cast<std::byte>(random());
  std::memset(fixture.memory.bytes().data() + offsetof(LedgerHeader, touched), 0xff,
              sizeof LedgerHeader::touched);
  fixture.forge_counter(10, 0);
  fixture.forge_counter(11, 0xffff'ffff);
  fixture.forge_counter(12, 0x8000'0000);
  CHECK_FALSE(fixture.scanner.pins(10));
  CHECK(fixture.scanner.pins(11));
  CHECK(fixture.scanner.pins(12));
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) (void)fixture.scanner.pins(slot);
}

TEST_CASE("random pins agree with plain counters", "[ledger]") {
  constexpr std::uint32_t kSlots = 3 * kCountersPerChunk;
  for (const unsigned seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    Fixture fixture(kSlots);
    std::vector<std::uint32_t> counters(kSlots, 0);
    for (int step = 0; step < 20'000; ++step) {
      // Few slots, so that they meet often, spread over all chunks.
      const auto slot = static_cast<std::uint32_t>(random() % 30 * 97 % kSlots);
      if (random() % 2 == 0) {
        REQUIRE(fixture.ledger.pin(slot) == counters[slot]++);
      } else if (counters[slot] > 0) {
        REQUIRE(fixture.ledger.unpin(slot) == --counters[slot]);
      }
      REQUIRE(fixture.scanner.pins(slot) == (counters[slot] != 0));
    }
    for (std::uint32_t slot = 0; slot < kSlots; ++slot)
      REQUIRE(fixture.scanner.pins(slot) == (counters[slot] != 0));
  }
}
