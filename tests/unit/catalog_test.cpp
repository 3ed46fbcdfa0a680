#include "catch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "shm/catalog.hpp"
#include "shm/name_hash.hpp"
#include "zeroed_memory.hpp"

using namespace tensord::shm;
using tensord::test::ZeroedMemory;

namespace {

constexpr std::uint64_t kSeed = 0x0123'4567'89ab'cdef;
constexpr std::array<std::uint8_t, 16> kStoreId{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct Fixture {
  explicit Fixture(std::uint32_t slot_count)
      : memory(catalog_size_bytes(slot_count)),
        writer(memory.bytes(), slot_count, kSeed, kStoreId),
        reader(CatalogReader::open(memory.bytes()).value()) {}

  [[nodiscard]] std::uint64_t hash(std::string_view name) const { return name_hash(name, kSeed); }

  bool publish(std::string_view name, std::uint32_t index) {
    Slot& slot = writer.slot(index);
    set_name(slot, writer.tail(index), name);
    slot.store_word(slot.load_word().with(SlotState::kPublished));
    return writer.index_insert(hash(name), index);
  }
  // As a client looks: the first candidate that has the name.
  [[nodiscard]] std::optional<std::uint32_t> look_up(std::string_view name) const {
    std::optional<std::uint32_t> found;
    reader.find(hash(name), [&](std::uint32_t index) {
      if (!has_name(reader.slot(index), reader.tail(index), name)) return false;
      found = index;
      return true;
    });
    return found;
  }

  ZeroedMemory memory;
  CatalogWriter writer;
  CatalogReader reader;
};

}  // namespace

TEST_CASE("a slot's word keeps generation and state apart", "[catalog]") {
  constexpr std::uint64_t kLast = (std::uint64_t{1} << 56) - 1;
  for (const std::uint64_t generation :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x1234'5678'9abc}, kLast}) {
    for (const auto state :
         {SlotState::kFree, SlotState::kBuilding, SlotState::kPublished, SlotState::kDying}) {
      const SlotWord word = SlotWord::of(generation, state);
      REQUIRE(word.generation() == generation);
      REQUIRE(word.state() == state);
      REQUIRE(word.with(SlotState::kDying) == SlotWord::of(generation, SlotState::kDying));
    }
  }
  CHECK(SlotWord{0} == SlotWord::of(0, SlotState::kFree));
}

TEST_CASE("a formatted catalog opens and holds free slots", "[catalog]") {
  for (const std::uint32_t slot_count : {1u, 2u, 63u, 4096u, 65536u}) {
    CAPTURE(slot_count);
    Fixture fixture(slot_count);
    CHECK(fixture.reader.slot_count() == slot_count);
    CHECK(fixture.reader.hash_seed() == kSeed);
    CHECK(fixture.reader.store_id() == kStoreId);
    for (std::uint32_t index = 0; index < slot_count; ++index) {
      REQUIRE(fixture.reader.slot(index).load_word() == SlotWord::of(0, SlotState::kFree));
    }
    // The last slot ends inside the memory.
    const auto* end = reinterpret_cast<const std::byte*>(&fixture.reader.slot(slot_count - 1) + 1);
    CHECK(end <= fixture.memory.bytes().data() + fixture.memory.bytes().size());
    CHECK_FALSE(fixture.look_up("a"));
  }
}

TEST_CASE("the largest catalog has its size, and costs only what is used of it", "[catalog]") {
  Fixture fixture(kMaxSlots);
  REQUIRE(fixture.publish("last", kMaxSlots - 1));
  CHECK(fixture.look_up("last") == kMaxSlots - 1);
}

TEST_CASE("memory that is not a catalog of this layout is not opened", "[catalog]") {
  constexpr std::uint32_t kSlots = 64;
  ZeroedMemory memory(catalog_size_bytes(kSlots));
  CHECK_FALSE(CatalogReader::open(memory.bytes()));
  CHECK_FALSE(CatalogReader::open(memory.bytes().first(0)));
  CHECK_FALSE(CatalogReader::open(memory.bytes().first(64)));
  CatalogWriter(memory.bytes(), kSlots, kSeed, kStoreId);
  REQUIRE(CatalogReader::open(memory.bytes()));
  CHECK_FALSE(CatalogReader::open(memory.bytes().first(memory.bytes().size() - 4096)));

  CatalogHeader good;
  std::memcpy(&good, memory.bytes().data(), sizeof good);
  const auto opens_with = [&](auto&& damage) {
    CatalogHeader header = good;
    damage(header);
    std::memcpy(memory.bytes().data(), &header, sizeof header);
    return CatalogReader::open(memory.bytes()).has_value();
  };
  CHECK(opens_with([](CatalogHeader&) {}));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { ++header.magic; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { ++header.layout_version; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.slot_count = 0; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.slot_count = ~0u; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.slot_count = kMaxSlots; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.index_capacity *= 2; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.slots_offset += 4096; }));
  CHECK_FALSE(opens_with([](CatalogHeader& header) { header.size_bytes -= 1; }));
}

TEST_CASE("what is entered is found, what is erased is not", "[catalog]") {
  Fixture fixture(16);
  REQUIRE(fixture.publish("a/one", 3));
  REQUIRE(fixture.publish("a/two", 4));
  CHECK(fixture.look_up("a/one") == 3u);
  CHECK(fixture.look_up("a/two") == 4u);
  CHECK_FALSE(fixture.look_up("a/three"));
  fixture.writer.index_erase(fixture.hash("a/one"), 3);
  CHECK_FALSE(fixture.look_up("a/one"));
  CHECK(fixture.look_up("a/two") == 4u);

  // Erasing what is not there changes nothing, be it the name or the slot that is wrong.
  fixture.writer.index_erase(fixture.hash("a/one"), 3);
  fixture.writer.index_erase(fixture.hash("a/two"), 3);
  CHECK(fixture.look_up("a/two") == 4u);
}

TEST_CASE("a name may be in two slots while it is replaced", "[catalog]") {
  Fixture fixture(16);
  REQUIRE(fixture.publish("x", 1));
  REQUIRE(fixture.publish("x", 2));
  std::vector<std::uint32_t> offered;
  CHECK_FALSE(fixture.reader.find(fixture.hash("x"), [&](std::uint32_t index) {
    offered.push_back(index);
    return false;
  }));
  CHECK(offered == std::vector<std::uint32_t>{1, 2});
  fixture.writer.index_erase(fixture.hash("x"), 1);
  CHECK(fixture.look_up("x") == 2u);
}

TEST_CASE("a run without room is refused, and the entries before stay", "[catalog]") {
  Fixture fixture(1024);
  const std::uint64_t hash = fixture.hash("crowded");
  for (std::uint32_t slot = 0; slot < kMaxProbe; ++slot) REQUIRE(fixture.writer.index_insert(hash, slot));
  CHECK_FALSE(fixture.writer.index_insert(hash, kMaxProbe));
  std::uint32_t offered = 0;
  fixture.reader.find(hash, [&](std::uint32_t index) { return index != offered++; });
  CHECK(offered == kMaxProbe);
  // One home further on there is room again.
  CHECK(fixture.writer.index_insert(hash + 1, kMaxProbe));
}

TEST_CASE("an entry that points past the catalog is passed over", "[catalog]") {
  Fixture fixture(16);
  REQUIRE(fixture.publish("x", 1));
  const std::uint64_t hash = fixture.hash("x");
  auto* index = reinterpret_cast<std::uint64_t*>(fixture.memory.bytes().data() + kCatalogIndexOffset);
  const std::uint64_t position = hash & 31;
  REQUIRE(index[position] != 0);
  for (const std::uint64_t slot_field : {std::uint64_t{0}, std::uint64_t{17}, std::uint64_t{0xffff'ffff}}) {
    index[position] = (hash & 0xffff'ffff'0000'0000) | slot_field;
    fixture.reader.find(hash, [](std::uint32_t slot) {
      CHECK(slot < 16);
      return false;
    });
  }
}

// A small index, half full all the time, so that runs are long, wrap around the end, and every
// erase has gaps to close.
TEST_CASE("random names agree with a plain map", "[catalog]") {
  constexpr std::uint32_t kSlots = 32;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Fixture fixture(kSlots);
    std::map<std::string, std::uint32_t> model;
    std::vector<std::uint32_t> free_slots;
    for (std::uint32_t index = 0; index < kSlots; ++index) free_slots.push_back(index);

    for (int step = 0; step < 3000; ++step) {
      const std::string name = "n" + std::to_string(random() % 60);
      if (const auto known = model.find(name); known != model.end()) {
        fixture.writer.index_erase(fixture.hash(name), known->second);
        free_slots.push_back(known->second);
        model.erase(known);
      } else if (!free_slots.empty()) {
        std::swap(free_slots[random() % free_slots.size()], free_slots.back());
        REQUIRE(fixture.publish(name, free_slots.back()));
        model.emplace(name, free_slots.back());
        free_slots.pop_back();
      }
      for (int number = 0; number < 60; ++number) {
        const std::string asked = "n" + std::to_string(number);
        const auto known = model.find(asked);
        const auto found = fixture.look_up(asked);
        REQUIRE(found == (known == model.end() ? std::nullopt : std::optional(known->second)));
      }
    }
  }
}

TEST_CASE("a name's hash depends on every byte, on the length and on the seed", "[catalog]") {
  // Clients of another build probe with this function: a change of it is a change of the layout.
  CHECK(name_hash("", 0) == 0xfa6ceea77e706d0d);
  CHECK(name_hash("digits/images", 1) == 0x63f7eedc713e234d);

  const std::string longest(tensord::kMaxNameSize, 'x');
  std::vector<std::uint64_t> seen;
  for (std::size_t size = 0; size <= longest.size(); ++size) {
    seen.push_back(name_hash(std::string_view(longest).substr(0, size), kSeed));
    seen.push_back(name_hash(std::string_view(longest).substr(0, size), kSeed + 1));
  }
  for (std::size_t at = 0; at < longest.size(); ++at) {
    std::string changed = longest;
    changed[at] = 'y';
    seen.push_back(name_hash(changed, kSeed));
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("names of every length are kept whole, in the slot or beyond it", "[catalog]") {
  Fixture fixture(4);
  for (std::size_t size = 1; size <= tensord::kMaxNameSize; ++size) {
    const std::string name(size, 'n');
    Slot& slot = fixture.writer.slot(1);
    SlotTail& tail = fixture.writer.tail(1);
    set_name(slot, tail, name);
    REQUIRE(name_of(slot, tail) == name);
    REQUIRE(has_name(slot, tail, name));
    std::string other = name;
    other.back() = 'x';
    REQUIRE_FALSE(has_name(slot, tail, other));
    REQUIRE_FALSE(has_name(slot, tail, name.substr(1)));
  }
}

TEST_CASE("a batch's sequence is odd between begin and end, and never comes back to what it was",
          "[catalog]") {
  Fixture fixture(4);
  const std::uint64_t before = fixture.reader.batch_sequence();
  CHECK(before % 2 == 0);
  fixture.writer.begin_batch();
  CHECK(fixture.reader.batch_sequence() % 2 == 1);
  fixture.writer.end_batch();
  CHECK(fixture.reader.batch_sequence() % 2 == 0);
  CHECK(fixture.reader.batch_sequence() > before);
}

TEST_CASE("announcing a name moves the word of its hash, and of no other", "[catalog]") {
  Fixture fixture(4);
  const std::uint64_t hash = fixture.hash("demo/ramp");
  std::vector<std::uint32_t> before;
  for (std::uint64_t word = 0; word < kNameEventWords; ++word) {
    before.push_back(fixture.reader.name_event(word).load());
  }
  const void* const announced = fixture.writer.announce(hash);
  CHECK(announced == &fixture.reader.name_event(hash));
  for (std::uint64_t word = 0; word < kNameEventWords; ++word) {
    CAPTURE(word);
    CHECK(fixture.reader.name_event(word).load() == before[word] + (word == hash % kNameEventWords ? 1 : 0));
  }
}
