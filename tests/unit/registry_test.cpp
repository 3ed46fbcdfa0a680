// The registry's decisions, on plain memory: no socket, no memfd.
#include <string>
#include <vector>

#include "catch.hpp"
#include "registry.hpp"
#include "shm/name_hash.hpp"
#include "zeroed_memory.hpp"

using namespace tensord;
using namespace tensord::daemon;
using shm::SlotState;
using tensord::test::ZeroedMemory;

namespace {

constexpr std::uint32_t kSlots = 8;
constexpr SegmentId kSegment = 16385;
const Credentials kAlice{1, 1000, 1000};
const Credentials kBob{2, 1001, 1001};
const Credentials kRoot{3, 0, 0};

struct Fixture {
  struct Member {
    ZeroedMemory memory{shm::ledger_size_bytes(kSlots)};
    shm::Ledger ledger;
    ClientId id = 0;
  };

  explicit Fixture(mode_t mode = 0600)
      : registry(shm::CatalogWriter(catalog.bytes(), kSlots, 7, {}), mode,
                 [this](const Extent& extent) { given_back.push_back(extent.offset); }),
        reader(shm::CatalogReader::open(catalog.bytes()).value()) {}

  std::unique_ptr<Member> join(const Credentials& who) {
    auto member = std::make_unique<Member>();
    shm::format_ledger(member->memory.bytes(), kSlots);
    member->ledger = shm::Ledger::open(member->memory.bytes(), kSlots).value();
    member->id = registry.add_client(who, shm::LedgerScanner(member->memory.bytes(), kSlots));
    return member;
  }
  static NewTensor wanted(const std::string& name) {
    NewTensor tensor;
    tensor.name = name;
    const std::int64_t shape[] = {16};
    tensor.spec = protocol::make_contiguous_spec(kFloat32, shape).value();
    tensor.size_bytes = 64;
    tensor.room_bytes = 64;
    return tensor;
  }
  // As the service does: admit, place, begin.
  Result<SlotIndex> begin(ClientId client, const NewTensor& tensor) {
    const Result<Pool> pool = registry.admit(client, tensor);
    if (!pool) return pool.failure();
    if (!segment_known) registry.segment_added(kSegment, pool.value());
    segment_known = true;
    next_offset += 64;
    return registry.begin(client, tensor, pool.value(), Placed{{kSegment, next_offset, 64}, next_offset});
  }
  SlotIndex publish(ClientId client, const NewTensor& tensor) {
    const SlotIndex slot = begin(client, tensor).value();
    REQUIRE(registry.publish(client, slot, registry.word(slot)));
    return slot;
  }
  // The slot that a reader finds by name in shared memory; kSlots if none.
  SlotIndex seen(const std::string& name) {
    SlotIndex found = kSlots;
    reader.find(shm::name_hash(name, reader.hash_seed()), [&](std::uint32_t slot) {
      const shm::Slot& candidate = reader.slot(slot);
      if (candidate.load_word().state() != SlotState::kPublished) return false;
      if (!shm::has_name(candidate, reader.tail(slot), name)) return false;
      found = slot;
      return true;
    });
    return found;
  }
  SlotState state(SlotIndex slot) { return reader.slot(slot).load_word().state(); }

  ZeroedMemory catalog{shm::catalog_size_bytes(kSlots)};
  std::vector<std::uint64_t> given_back;
  bool segment_known = false;
  std::uint64_t next_offset = 0;
  Registry registry;
  shm::CatalogReader reader;
};

}  // namespace

TEST_CASE("a tensor is hidden while it is built, and found once it is published", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const SlotIndex slot = fixture.begin(alice->id, Fixture::wanted("a/x")).value();
  CHECK(fixture.state(slot) == SlotState::kBuilding);
  CHECK(fixture.seen("a/x") == kSlots);
  CHECK_FALSE(fixture.registry.find("a/x"));
  REQUIRE(fixture.registry.publish(alice->id, slot, fixture.registry.word(slot)));
  CHECK(fixture.seen("a/x") == slot);
  CHECK(fixture.registry.find("a/x").value() == slot);
  CHECK(fixture.reader.slot(slot).size_bytes == 64);
}

TEST_CASE("a deleted tensor is freed at once when nobody pins it", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const SlotIndex slot = fixture.publish(alice->id, Fixture::wanted("a/x"));
  const auto generation = fixture.reader.slot(slot).load_word().generation();
  REQUIRE(fixture.registry.remove(alice->id, "a/x"));
  CHECK(fixture.seen("a/x") == kSlots);
  CHECK(fixture.state(slot) == SlotState::kFree);
  CHECK(fixture.reader.slot(slot).load_word().generation() == generation + 1);
  CHECK(fixture.given_back == std::vector<std::uint64_t>{64});
}

TEST_CASE("a pin of a client that was granted the segment keeps a deleted tensor, until a nudge",
          "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const SlotIndex slot = fixture.publish(alice->id, Fixture::wanted("a/x"));
  REQUIRE(fixture.registry.grant(alice->id, kSegment, Right::kRead));
  alice->ledger.pin(slot);
  REQUIRE(fixture.registry.remove(alice->id, "a/x"));
  CHECK(fixture.state(slot) == SlotState::kDying);
  CHECK(fixture.registry.figures().dying_bytes == 64);
  fixture.registry.nudge(slot);
  CHECK(fixture.given_back.empty());
  alice->ledger.unpin(slot);
  fixture.registry.nudge(slot);
  CHECK(fixture.state(slot) == SlotState::kFree);
  CHECK(fixture.given_back.size() == 1);
  CHECK_FALSE(fixture.registry.anything_dying());
  for (const SlotIndex any : {slot, SlotIndex{3}, SlotIndex{999'999}}) fixture.registry.nudge(any);
  CHECK(fixture.given_back.size() == 1);
}

TEST_CASE("a pin of a client that was never granted the segment keeps nothing", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto bob = fixture.join(kBob);
  const SlotIndex slot = fixture.publish(alice->id, Fixture::wanted("a/x"));
  bob->ledger.pin(slot);
  REQUIRE(fixture.registry.remove(alice->id, "a/x"));
  CHECK(fixture.state(slot) == SlotState::kFree);
}

TEST_CASE("when a client hangs up, its pins, its drafts and what was bound to it go", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  auto other = fixture.join(kAlice);
  const SlotIndex pinned = fixture.publish(alice->id, Fixture::wanted("a/pinned"));
  REQUIRE(fixture.registry.grant(other->id, kSegment, Right::kRead));
  other->ledger.pin(pinned);
  REQUIRE(fixture.registry.remove(alice->id, "a/pinned"));
  NewTensor bound = Fixture::wanted("a/bound");
  bound.lifetime = Lifetime::kClient;
  fixture.publish(other->id, bound);
  fixture.publish(other->id, Fixture::wanted("a/stays"));
  REQUIRE(fixture.begin(other->id, Fixture::wanted("a/half")));

  fixture.registry.remove_client(other->id);
  const auto figures = fixture.registry.figures();
  CHECK(figures.tensors == 1);
  CHECK(figures.building == 0);
  CHECK(figures.dying == 0);
  CHECK(figures.clients == 1);
  CHECK(fixture.seen("a/stays") != kSlots);
  CHECK(fixture.given_back.size() == 3);
}

TEST_CASE("a name can be taken over, and belongs to the new tensor whatever becomes of the old",
          "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  REQUIRE(fixture.begin(alice->id, Fixture::wanted("a/none")));
  const SlotIndex old = fixture.publish(alice->id, Fixture::wanted("a/x"));
  CHECK(fixture.begin(alice->id, Fixture::wanted("a/x")).failure().code == Errc::kAlreadyExists);

  REQUIRE(fixture.registry.grant(alice->id, kSegment, Right::kRead));
  alice->ledger.pin(old);
  NewTensor replacement = Fixture::wanted("a/x");
  replacement.replace = true;
  const SlotIndex fresh = fixture.publish(alice->id, replacement);
  CHECK(fixture.seen("a/x") == fresh);
  CHECK(fixture.state(old) == SlotState::kDying);
  alice->ledger.unpin(old);
  fixture.registry.sweep();
  CHECK(fixture.seen("a/x") == fresh);
  REQUIRE(fixture.registry.remove(alice->id, "a/x"));
  CHECK(fixture.registry.figures().tensors == 0);
}

TEST_CASE("drafts can be published and aborted by their builder only, once", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto twin = fixture.join(kAlice);
  const SlotIndex slot = fixture.begin(alice->id, Fixture::wanted("a/x")).value();
  const std::uint64_t word = fixture.registry.word(slot);
  CHECK(fixture.registry.publish(twin->id, slot, word).failure().code == Errc::kNotFound);
  CHECK(fixture.registry.abort(twin->id, slot, word).failure().code == Errc::kNotFound);
  CHECK(fixture.registry.publish(alice->id, slot, word + 256).failure().code == Errc::kNotFound);
  REQUIRE(fixture.registry.abort(alice->id, slot, word));
  CHECK(fixture.registry.publish(alice->id, slot, word).failure().code == Errc::kNotFound);
  // The slot's next tensor has another word.
  const SlotIndex again = fixture.begin(alice->id, Fixture::wanted("a/y")).value();
  REQUIRE(again == slot);
  CHECK(fixture.registry.abort(alice->id, slot, word).failure().code == Errc::kNotFound);
}

TEST_CASE("a namespace belongs to whoever made it", "[registry][namespaces]") {
  Fixture fixture(0640);
  const auto alice = fixture.join(kAlice);
  const auto bob = fixture.join(kBob);
  const auto group_mate = fixture.join({4, 1002, kAlice.gid});
  const auto root = fixture.join(kRoot);
  fixture.publish(alice->id, Fixture::wanted("a/x"));

  CHECK(fixture.registry.admit(bob->id, Fixture::wanted("a/y")).failure().code == Errc::kPermissionDenied);
  CHECK(fixture.registry.remove(bob->id, "a/x").failure().code == Errc::kPermissionDenied);
  CHECK(fixture.registry.grant(bob->id, kSegment, Right::kRead).failure().code == Errc::kPermissionDenied);
  CHECK(fixture.registry.grant(group_mate->id, kSegment, Right::kRead));
  CHECK(fixture.registry.grant(group_mate->id, kSegment, Right::kWrite).failure().code ==
        Errc::kPermissionDenied);
  CHECK(fixture.registry.grant(root->id, kSegment, Right::kWrite));
  CHECK(fixture.registry.admit(bob->id, Fixture::wanted("b/y")));
  CHECK(fixture.registry.remove(root->id, "a/x"));
}

TEST_CASE("when all slots are taken the error says so, and a freed one is used again", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  for (std::uint32_t i = 0; i < kSlots; ++i)
    fixture.publish(alice->id, Fixture::wanted("a/" + std::to_string(i)));
  const auto full = fixture.begin(alice->id, Fixture::wanted("a/more"));
  REQUIRE_FALSE(full);
  CHECK(full.failure().code == Errc::kOutOfSpace);
  REQUIRE(fixture.registry.remove(alice->id, "a/3"));
  CHECK(fixture.begin(alice->id, Fixture::wanted("a/more")));
}

TEST_CASE("a segment that is dropped can be granted to nobody", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  fixture.publish(alice->id, Fixture::wanted("a/x"));
  REQUIRE(fixture.registry.grant(alice->id, kSegment, Right::kRead));
  REQUIRE(fixture.registry.remove(alice->id, "a/x"));
  fixture.registry.segment_dropped(kSegment);
  CHECK(fixture.registry.grant(alice->id, kSegment, Right::kRead).failure().code == Errc::kNotFound);
  fixture.registry.remove_client(alice->id);
}
