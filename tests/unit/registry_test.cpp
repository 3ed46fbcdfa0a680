// The registry's decisions, on plain memory: no socket, no memfd.
#include <string>
#include <vector>

#include <tensord/store.hpp>

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

  explicit Fixture(mode_t mode = 0600, const Quotas::Figures& limits = Quotas::kNoLimits)
      : registry(
            shm::CatalogWriter(catalog.bytes(), kSlots, 7, {}), book, mode,
            [this](const Extent& extent) { given_back.push_back(extent.offset); }, limits),
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
  ZeroedMemory book_memory{book_size_bytes(kSlots)};
  Book book = Book::begin(book_memory.bytes(), kSlots);
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

TEST_CASE("whoever looks for a name that is not there is told who is building it", "[registry][waiting]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto bob = fixture.join(kRoot);
  const auto said = [&](bool has_waited) {
    const auto if_none = has_waited ? protocol::IfNone::kGiveUp : protocol::IfNone::kExplain;
    return fixture.registry.find("a/x", if_none).failure().text;
  };
  CHECK_THAT(said(false), !contains_text("building"));
  CHECK_THAT(said(true), contains_text("and nobody is building one"));
  const SlotIndex first = fixture.begin(alice->id, Fixture::wanted("a/x")).value();
  CHECK_THAT(said(false), contains_text("pid 1 is building one"));
  const SlotIndex second = fixture.begin(bob->id, Fixture::wanted("a/x")).value();
  CHECK(fixture.registry.figures().building == 2);
  REQUIRE(fixture.registry.abort(alice->id, first, fixture.registry.word(first)));
  CHECK_THAT(said(true), contains_text("pid 3 is building one"));
  fixture.registry.remove_client(bob->id);
  CHECK_THAT(said(true), contains_text("and nobody is building one"));
  CHECK(fixture.registry.figures().building == 0);
  CHECK(fixture.state(second) == SlotState::kFree);
  CHECK(fixture.registry.find("a/x", protocol::IfNone::kSayNothing).failure().text.empty());
}

TEST_CASE("each publication moves the word of its name, when the name can be found", "[registry][waiting]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto& word = fixture.reader.name_event(shm::name_hash("a/x", fixture.reader.hash_seed()));
  const auto before = word.load();
  NewTensor wanted = Fixture::wanted("a/x");
  wanted.replace = true;
  const SlotIndex draft = fixture.begin(alice->id, wanted).value();
  CHECK(word.load() == before);
  REQUIRE(fixture.registry.publish(alice->id, draft, fixture.registry.word(draft)));
  CHECK(word.load() == before + 1);
  fixture.publish(alice->id, wanted);
  CHECK(word.load() == before + 2);
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

// ---- batches --------------------------------------------------------------------------------------

namespace {

std::vector<Draft> begin_all(Fixture& fixture, ClientId client, const std::vector<std::string>& names,
                             bool replace = false) {
  std::vector<Draft> drafts;
  for (const std::string& name : names) {
    NewTensor tensor = Fixture::wanted(name);
    tensor.replace = replace;
    const SlotIndex slot = fixture.begin(client, tensor).value();
    drafts.push_back({slot, fixture.registry.word(slot)});
  }
  return drafts;
}

}  // namespace

TEST_CASE("a batch is published whole, and the sequence says that it was one", "[registry][batch]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto batch = begin_all(fixture, alice->id, {"a/x", "a/y", "a/z"});
  CHECK(fixture.reader.batch_sequence() == 0);
  REQUIRE(fixture.registry.publish_many(alice->id, batch));
  CHECK(fixture.reader.batch_sequence() == 2);
  for (const std::string name : {"a/x", "a/y", "a/z"}) CHECK(fixture.seen(name) != kSlots);
  CHECK(fixture.registry.figures().building == 0);

  // And replaced whole.
  const auto next = begin_all(fixture, alice->id, {"a/x", "a/y"}, true);
  REQUIRE(fixture.registry.publish_many(alice->id, next));
  CHECK(fixture.seen("a/x") == next[0].slot);
  CHECK(fixture.seen("a/y") == next[1].slot);
  CHECK(fixture.state(batch[0].slot) == SlotState::kFree);
  CHECK(fixture.registry.figures().tensors == 3);
}

TEST_CASE("of a batch with one tensor that cannot be published none is, and all stay drafts",
          "[registry][batch]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto twin = fixture.join(kAlice);
  auto batch = begin_all(fixture, alice->id, {"a/x", "a/y"});
  Errc expected = Errc::kNotFound;

  SECTION("a name that was taken meanwhile") {
    fixture.publish(twin->id, Fixture::wanted("a/y"));
    expected = Errc::kAlreadyExists;
  }
  SECTION("somebody else's draft") { batch.push_back(begin_all(fixture, twin->id, {"a/z"})[0]); }
  SECTION("an old word") { batch[1].word += 256; }
  SECTION("a slot past the end") { batch[1].slot = 0xffff'ffff; }
  SECTION("a tensor that was aborted") {
    REQUIRE(fixture.registry.abort(alice->id, batch[1].slot, batch[1].word));
  }
  SECTION("the same tensor twice") {
    batch.push_back(batch[0]);
    expected = Errc::kInvalidArgument;
  }
  SECTION("two tensors of one name, which may replace each other") {
    batch.push_back(begin_all(fixture, alice->id, {"a/x"}, true)[0]);
    expected = Errc::kInvalidArgument;
  }
  const auto before = fixture.registry.figures();
  CHECK(fixture.registry.publish_many(alice->id, batch).failure().code == expected);
  CHECK(fixture.reader.batch_sequence() % 2 == 0);
  CHECK(fixture.seen("a/x") == kSlots);
  CHECK(fixture.state(batch[0].slot) == SlotState::kBuilding);
  CHECK(fixture.registry.figures().tensors == before.tensors);
  CHECK(fixture.registry.figures().building == before.building);
  // What is good is still good.
  batch.resize(1);
  CHECK(fixture.registry.publish_many(alice->id, batch));
}

// ---- tensors that share a room --------------------------------------------------------------------

namespace {

// A room of 256 bytes whose first tensor takes 64, and what joins it.
NewTensor wanted_room(const std::string& name) {
  NewTensor tensor = Fixture::wanted(name);
  tensor.room_bytes = 256;
  return tensor;
}
NewTensor joining(const std::string& name, const Draft& other, std::uint64_t offset_bytes) {
  NewTensor tensor = Fixture::wanted(name);
  tensor.room_bytes = 0;
  tensor.room_offset_bytes = offset_bytes;
  tensor.in_room_of = other;
  return tensor;
}
Result<SlotIndex> join(Fixture& fixture, ClientId client, const NewTensor& tensor) {
  const Result<Pool> pool = fixture.registry.admit(client, tensor);
  if (!pool) return pool.failure();
  return fixture.registry.join(client, tensor, pool.value());
}

}  // namespace

TEST_CASE("tensors share a room, which goes back with the last of them", "[registry][room]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const SlotIndex first = fixture.begin(alice->id, wanted_room("a/first")).value();
  const Draft draft{first, fixture.registry.word(first)};
  const SlotIndex second = join(fixture, alice->id, joining("a/second", draft, 192)).value();
  CHECK(fixture.reader.slot(second).offset == fixture.reader.slot(first).offset + 192);
  CHECK(fixture.reader.slot(second).size_bytes == 64);
  REQUIRE(fixture.registry.publish(alice->id, first, draft.word));
  REQUIRE(fixture.registry.publish(alice->id, second, fixture.registry.word(second)));
  REQUIRE(fixture.registry.grant(alice->id, kSegment, Right::kRead));
  alice->ledger.pin(second);

  SECTION("the first goes first") {
    REQUIRE(fixture.registry.remove(alice->id, "a/first"));
    CHECK(fixture.state(first) == SlotState::kFree);
    CHECK(fixture.given_back.empty());
    CHECK(fixture.registry.figures().dying_bytes == 0);
    REQUIRE(fixture.registry.remove(alice->id, "a/second"));
  }
  SECTION("the second goes first, and its view is the last thing in the room") {
    REQUIRE(fixture.registry.remove(alice->id, "a/second"));
    CHECK(fixture.registry.figures().dying == 1);
    CHECK(fixture.registry.figures().dying_bytes == 0);
    REQUIRE(fixture.registry.remove(alice->id, "a/first"));
  }
  CHECK(fixture.registry.figures().dying_bytes == 64);  // the extent that the fixture placed, once
  CHECK(fixture.given_back.empty());
  alice->ledger.unpin(second);
  fixture.registry.sweep();
  CHECK(fixture.given_back.size() == 1);
  CHECK(fixture.registry.figures().dying_bytes == 0);
}

TEST_CASE("a room is given back once when its client hangs up in the middle", "[registry][room]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const SlotIndex first = fixture.begin(alice->id, wanted_room("a/first")).value();
  const Draft draft{first, fixture.registry.word(first)};
  REQUIRE(join(fixture, alice->id, joining("a/second", draft, 0)));
  REQUIRE(join(fixture, alice->id, joining("a/third", draft, 64)));
  fixture.registry.remove_client(alice->id);
  CHECK(fixture.given_back.size() == 1);
  CHECK(fixture.registry.figures().building == 0);
}

TEST_CASE("live tensors of one room have one header", "[registry][room]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  NewTensor wanted = wanted_room("a/first");
  wanted.kind = Kind::kLive;
  const SlotIndex first = fixture.begin(alice->id, wanted).value();
  NewTensor other = joining("a/second", {first, fixture.registry.word(first)}, 128);
  other.kind = Kind::kLive;
  const SlotIndex second = join(fixture, alice->id, other).value();
  const std::uint64_t header = fixture.reader.slot(first).live_header_offset;
  CHECK(header == fixture.reader.slot(first).offset - shm::kLivePrefixBytes);
  CHECK(fixture.reader.slot(second).live_header_offset == header);
}

TEST_CASE("a live tensor is awaited by those who may read it, as long as it has its slot", "[registry]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto bob = fixture.join(kBob);
  NewTensor wanted = Fixture::wanted("a/live");
  wanted.kind = Kind::kLive;
  const SlotIndex slot = fixture.begin(alice->id, wanted).value();
  const Draft draft{slot, fixture.registry.word(slot)};
  const auto room = [&](ClientId client, const Draft& tensor) {
    return fixture.registry.live_room(client, tensor);
  };
  CHECK(room(alice->id, draft) == nullptr);  // nobody sees it yet
  REQUIRE(fixture.registry.publish(alice->id, slot, draft.word));
  REQUIRE(room(alice->id, draft) != nullptr);
  CHECK(room(alice->id, draft)->offset_bytes == fixture.reader.slot(slot).offset);
  CHECK(room(alice->id, {slot, fixture.registry.word(slot)}) != nullptr);
  CHECK(room(bob->id, draft) == nullptr);
  CHECK(room(alice->id, {slot, draft.word + 256}) == nullptr);
  CHECK(room(alice->id, {slot + 1, draft.word}) == nullptr);
  CHECK(room(alice->id, {0xffff'ffff, draft.word}) == nullptr);

  REQUIRE(fixture.registry.grant(alice->id, kSegment, Right::kRead));
  alice->ledger.pin(slot);
  REQUIRE(fixture.registry.remove(alice->id, "a/live"));
  CHECK(room(alice->id, draft) != nullptr);  // held, and may still be written
  alice->ledger.unpin(slot);
  fixture.registry.nudge(slot);
  CHECK(room(alice->id, draft) == nullptr);
  const SlotIndex next = fixture.publish(alice->id, Fixture::wanted("a/sealed"));
  CHECK(next == slot);
  CHECK(room(alice->id, draft) == nullptr);
  CHECK(room(alice->id, {next, fixture.registry.word(next)}) == nullptr);
}

TEST_CASE("nobody joins a room that is not his own, not open, or too small", "[registry][room]") {
  Fixture fixture;
  const auto alice = fixture.join(kAlice);
  const auto twin = fixture.join(kAlice);
  const SlotIndex first = fixture.begin(alice->id, wanted_room("a/first")).value();
  const Draft draft{first, fixture.registry.word(first)};
  const auto refusal = [&](ClientId client, const NewTensor& tensor) {
    const auto joined = join(fixture, client, tensor);
    REQUIRE_FALSE(joined);
    return joined.failure().code;
  };
  CHECK(refusal(twin->id, joining("a/x", draft, 0)) == Errc::kNotFound);
  CHECK(refusal(alice->id, joining("a/x", {first, draft.word + 256}, 0)) == Errc::kNotFound);
  CHECK(refusal(alice->id, joining("a/x", {0xffff'ffff, draft.word}, 0)) == Errc::kNotFound);
  CHECK(refusal(alice->id, joining("a/x", draft, 193)) == Errc::kInvalidArgument);
  CHECK(refusal(alice->id, joining("a/x", draft, UINT64_MAX)) == Errc::kInvalidArgument);
  CHECK(refusal(alice->id, joining("b/x", draft, 0)) == Errc::kInvalidArgument);
  NewTensor live = joining("a/x", draft, 0);
  live.kind = Kind::kLive;
  CHECK(refusal(alice->id, live) == Errc::kInvalidArgument);
  REQUIRE(join(fixture, alice->id, joining("a/fits", draft, 192)));
  REQUIRE(fixture.registry.publish(alice->id, first, draft.word));
  CHECK(refusal(alice->id, joining("a/x", draft, 0)) == Errc::kNotFound);
  CHECK(fixture.registry.figures().building == 1);
}

// ---- spares -----------------------------------------------------------------------------------

namespace {

struct SpareFixture : Fixture {
  std::unique_ptr<Member> alice = join(kAlice);
  SlotIndex model = publish(alice->id, wanted("a/model"));

  SpareFixture() { REQUIRE(registry.grant(alice->id, kSegment, Right::kRead)); }
  std::optional<SlotIndex> grant_spare(ClientId client) {
    next_offset += 64;
    return registry.grant_spare(client, model, Placed{{kSegment, next_offset, 64}, next_offset});
  }
  Draft draft_of(SlotIndex slot) { return {slot, registry.word(slot)}; }
};

}  // namespace

TEST_CASE_METHOD(SpareFixture, "a spare has no name and counts for nothing until it is published under one",
                 "[registry][spare]") {
  const SlotIndex spare = grant_spare(alice->id).value();
  CHECK(state(spare) == SlotState::kBuilding);
  CHECK(registry.figures().building == 0);
  CHECK(registry.figures().tensors == 1);
  CHECK(registry.figures().spare_bytes == 64);
  REQUIRE(registry.publish_spare(alice->id, draft_of(spare), wanted("a/x")));
  CHECK(seen("a/x") == spare);
  CHECK(registry.figures().tensors == 2);
  CHECK(registry.figures().spare_bytes == 0);
  CHECK_FALSE(registry.any_spares());
}

TEST_CASE_METHOD(SpareFixture, "a spare is published by its owner only, for its own size and namespace",
                 "[registry][spare]") {
  const auto root = join(kRoot);
  const SlotIndex spare = grant_spare(alice->id).value();
  const auto code = [&](ClientId client, const Draft& draft, const NewTensor& tensor) {
    const Result<Done> done = registry.publish_spare(client, draft, tensor);
    return done ? Errc::kOk : done.failure().code;
  };
  NewTensor large = wanted("a/x");
  large.size_bytes = 128;
  CHECK(code(root->id, draft_of(spare), wanted("a/x")) == Errc::kNotFound);
  CHECK(code(alice->id, {spare, draft_of(spare).word + 256}, wanted("a/x")) == Errc::kNotFound);
  CHECK(code(alice->id, {kSlots, 1}, wanted("a/x")) == Errc::kNotFound);
  CHECK(code(alice->id, draft_of(model), wanted("a/x")) == Errc::kNotFound);
  CHECK(code(alice->id, draft_of(spare), large) == Errc::kInvalidArgument);
  CHECK(code(alice->id, draft_of(spare), wanted("b/x")) == Errc::kInvalidArgument);
  CHECK(code(alice->id, draft_of(spare), wanted("a/model")) == Errc::kAlreadyExists);
  // It is no draft like others: no name could be published with it.
  CHECK_FALSE(registry.publish(alice->id, spare, draft_of(spare).word));
  CHECK_FALSE(registry.abort(alice->id, spare, draft_of(spare).word));
  // After all of that it is still there.
  CHECK(code(alice->id, draft_of(spare), wanted("a/x")) == Errc::kOk);
}

TEST_CASE_METHOD(SpareFixture, "a spare that is taken back under its client's pin waits for that pin",
                 "[registry][spare]") {
  const SlotIndex spare = grant_spare(alice->id).value();
  const Draft draft = draft_of(spare);
  alice->ledger.pin(spare);
  CHECK(registry.take_back_spares());
  CHECK(state(spare) == SlotState::kDying);
  CHECK(given_back.empty());
  CHECK(registry.publish_spare(alice->id, draft, wanted("a/x")).failure().code == Errc::kNotFound);
  alice->ledger.unpin(spare);
  registry.nudge(spare);
  CHECK(state(spare) == SlotState::kFree);
  CHECK(given_back.size() == 1);
  CHECK_FALSE(registry.take_back_spares());
}

TEST_CASE_METHOD(SpareFixture,
                 "a client has one spare, and gets another one for it unless it is at work there",
                 "[registry][spare]") {
  const Draft first = draft_of(grant_spare(alice->id).value());
  const SlotIndex second = grant_spare(alice->id).value();
  CHECK(given_back.size() == 1);
  CHECK(registry.publish_spare(alice->id, first, wanted("a/x")).failure().code == Errc::kNotFound);
  alice->ledger.pin(second);
  CHECK_FALSE(grant_spare(alice->id));
  CHECK(state(second) == SlotState::kBuilding);
  CHECK(registry.figures().spare_bytes == 64);
}

TEST_CASE_METHOD(SpareFixture, "the last slots go to who asks for them, not to spares", "[registry][spare]") {
  const auto root = join(kRoot);
  REQUIRE(grant_spare(alice->id));
  REQUIRE(grant_spare(root->id));
  for (std::uint32_t i = 1; i < kSlots; ++i) publish(alice->id, wanted("a/" + std::to_string(i)));
  CHECK(registry.figures().tensors == kSlots);
  CHECK_FALSE(registry.any_spares());
  CHECK_FALSE(grant_spare(alice->id));
  CHECK(begin(alice->id, wanted("a/z")).failure().code == Errc::kOutOfSpace);
}

TEST_CASE_METHOD(SpareFixture, "a spare that nobody used between two looks is taken back",
                 "[registry][spare]") {
  const SlotIndex spare = grant_spare(alice->id).value();
  registry.take_back_idle_spares();
  CHECK(state(spare) == SlotState::kBuilding);
  registry.take_back_idle_spares();
  CHECK(state(spare) == SlotState::kFree);
}

TEST_CASE_METHOD(SpareFixture, "a spare goes with its client", "[registry][spare]") {
  const SlotIndex spare = grant_spare(alice->id).value();
  registry.remove_client(alice->id);
  CHECK(state(spare) == SlotState::kFree);
  CHECK(registry.figures().spare_bytes == 0);
}

// ---- holders ----------------------------------------------------------------------------------

namespace {

struct HoldersFixture : Fixture {
  std::unique_ptr<Member> alice = join(kAlice), bob = join(kBob), root = join(kRoot);

  HoldersFixture() : Fixture(0640) {}
  // "pid:state:views" of each, in one text; "denied" if the asker may not know.
  std::string holders(ClientId asker, const std::string& name, bool sees_all = false,
                      Registry::HolderPlace from = {}) {
    const auto of = name.empty() ? protocol::Holders::Of::kNameless : protocol::Holders::Of::kName;
    return list(asker, {of, name}, sees_all, from);
  }
  std::string list(ClientId asker, const Registry::HeldBy& asked_for, bool sees_all = false,
                   Registry::HolderPlace from = {}) {
    std::string text;
    const auto done =
        registry.visit_holders(asker, sees_all, asked_for, from, [&](const Registry::Holder& holder) {
          text += (text.empty() ? "" : " ") + std::to_string(holder.who.pid) + ":" + word_of(holder.state) +
                  ":" + std::to_string(holder.views_untrusted);
          CHECK(holder.connected_unix_ns != 0);
          return true;
        });
    if (!done) return done.failure().code == Errc::kPermissionDenied ? "denied" : done.failure().text;
    CHECK_FALSE(done.value().has_value());
    return text;
  }
  void pin(Member& member, SlotIndex slot, int views) {
    for (int i = 0; i < views; ++i) member.ledger.pin(slot);
  }
};

}  // namespace

TEST_CASE_METHOD(HoldersFixture,
                 "holders of a name are who was granted it and pins it, and who still pins the last",
                 "[registry][holders]") {
  const SlotIndex first = publish(alice->id, wanted("a/x"));
  for (const auto* member : {&root, &alice}) REQUIRE(registry.grant((*member)->id, kSegment, Right::kRead));
  CHECK(holders(alice->id, "a/x") == "");
  pin(*alice, first, 2);
  pin(*root, first, 1);
  pin(*bob, first, 7);  // was granted nothing
  CHECK(holders(alice->id, "a/x") == "1:attached:2 3:attached:1");
  CHECK(holders(alice->id, "a/y") == "");
  CHECK(holders(alice->id, "") == "");

  NewTensor successor = wanted("a/x");
  successor.replace = true;
  const SlotIndex draft = begin(alice->id, successor).value();
  CHECK(holders(alice->id, "a/x") == "1:attached:2 3:attached:1 1:building:0");
  CHECK(holders(alice->id, "") == "1:building:0");
  REQUIRE(registry.publish(alice->id, draft, registry.word(draft)));
  pin(*root, draft, 4);
  CHECK(holders(alice->id, "a/x") == "1:dying:2 3:dying:1 3:attached:4");
  CHECK(holders(alice->id, "") == "1:dying:2 3:dying:1");
  alice->ledger.unpin(first);
  alice->ledger.unpin(first);
  CHECK(holders(alice->id, "") == "3:dying:1");
  registry.remove_client(root->id);
  CHECK(holders(alice->id, "a/x") == "");
}

TEST_CASE_METHOD(HoldersFixture, "a spare is its client's, without a name", "[registry][holders][spare]") {
  const SlotIndex model = publish(alice->id, wanted("a/x"));
  next_offset += 64;
  const auto spare = registry.grant_spare(alice->id, model, Placed{{kSegment, next_offset, 64}, next_offset});
  REQUIRE(spare);
  CHECK(registry.tensor(*spare).name.empty());
  CHECK(holders(alice->id, "") == "1:spare:0");
}

TEST_CASE_METHOD(HoldersFixture,
                 "holders are told to who may read there, to root, and to the daemon's own user",
                 "[registry][holders]") {
  const SlotIndex slot = publish(alice->id, wanted("a/x"));
  REQUIRE(registry.grant(alice->id, kSegment, Right::kRead));
  pin(*alice, slot, 1);
  CHECK(holders(bob->id, "a/x") == "denied");
  CHECK(holders(bob->id, "a/x", /*sees_all=*/true) == "1:attached:1");
  CHECK(holders(root->id, "a/x") == "1:attached:1");
  REQUIRE(registry.remove(alice->id, "a/x"));
  CHECK(holders(bob->id, "a/x") == "denied");
  CHECK(holders(bob->id, "") == "");
  CHECK(holders(bob->id, "", /*sees_all=*/true) == "1:dying:1");
  CHECK(holders(root->id, "") == "1:dying:1");
}

TEST_CASE_METHOD(HoldersFixture, "holders of a prefix are those of every tensor that begins so, in any state",
                 "[registry][holders]") {
  const auto prefix = protocol::Holders::Of::kPrefix;
  const SlotIndex kept = publish(alice->id, wanted("a/x"));
  const SlotIndex deleted = publish(alice->id, wanted("a/xy"));
  const SlotIndex other = publish(bob->id, wanted("b/x"));
  for (const auto* member : {&root, &alice}) REQUIRE(registry.grant((*member)->id, kSegment, Right::kRead));
  pin(*alice, kept, 1);
  pin(*root, kept, 1);
  pin(*root, deleted, 2);
  pin(*root, other, 3);
  REQUIRE(registry.remove(alice->id, "a/xy"));
  CHECK(list(root->id, {prefix, "a/"}) == "1:attached:1 3:attached:1 3:dying:2");
  CHECK(list(root->id, {prefix, "a/xy"}) == "3:dying:2");
  CHECK(list(root->id, {prefix, "c"}) == "");
  CHECK(list(root->id, {prefix, ""}) == "1:attached:1 3:attached:1 3:dying:2 3:attached:3");
  // Bob reads nothing of alice's, and is not told that there is anything.
  CHECK(list(bob->id, {prefix, ""}) == "3:attached:3");
  CHECK(list(bob->id, {prefix, ""}, /*sees_all=*/true) == "1:attached:1 3:attached:1 3:dying:2 3:attached:3");
}

TEST_CASE_METHOD(HoldersFixture, "the visit goes on where it was left, and from any other place",
                 "[registry][holders]") {
  REQUIRE(publish(alice->id, wanted("a/x")) == 0);
  for (const auto* member : {&root, &alice}) REQUIRE(registry.grant((*member)->id, kSegment, Right::kRead));
  pin(*alice, 0, 1);
  pin(*root, 0, 1);
  const auto next =
      registry.visit_holders(alice->id, false, {protocol::Holders::Of::kName, "a/x"}, {},
                             [taken = 0](const Registry::Holder&) mutable { return taken++ < 1; });
  REQUIRE((next && next.value()));
  CHECK(next.value()->slot == 0);
  CHECK(next.value()->client == root->id);
  CHECK(holders(alice->id, "a/x", false, *next.value()) == "3:attached:1");
  CHECK(holders(alice->id, "a/x", false, {0, root->id + 1}) == "");
  CHECK(holders(alice->id, "a/x", false, {1, 0}) == "");
  CHECK(holders(alice->id, "a/x", false, {kSlots, 0}) == "");
  CHECK(holders(alice->id, "a/x", false, {0xffff'ffff, 0xffff'ffff}) == "");
}

// ---- waiters ----------------------------------------------------------------------------------

TEST_CASE_METHOD(HoldersFixture,
                 "waiters are told of whoever may read what they wait for, and of one's own user",
                 "[registry][waiters]") {
  const auto seen_by = [&](const Member& asker, bool sees_all = false) {
    std::string text;
    const auto next = registry.visit_waiters(asker.id, sees_all, 0, [&](const auto& waiters) {
      for (const Registry::Waiter& waiter : waiters) {
        text += std::to_string(waiter.who.pid) + ":" + word_of(waiter.waits_for) + ":" + waiter.name + " ";
      }
      return true;
    });
    CHECK_FALSE(next.has_value());
    return text;
  };
  const SlotIndex live = publish(alice->id, wanted("a/x"));
  CHECK(seen_by(*alice) == "");
  const auto name = alice->ledger.show_wait({.since_unix_ns = 5, .name = "a/none"});
  REQUIRE(name);
  REQUIRE(bob->ledger.show_wait({.name = "b/none"}));
  CHECK(seen_by(*alice) == "1:name:a/none 2:name:b/none ");
  CHECK(seen_by(*bob) == "2:name:b/none ");
  CHECK(seen_by(*bob, /*sees_all=*/true) == "1:name:a/none 2:name:b/none ");
  alice->ledger.hide_wait(*name);
  CHECK(seen_by(*alice) == "2:name:b/none ");

  // A tensor that it does not pin it cannot wait for, and what is no name is nobody's.
  const auto version = alice->ledger.show_wait({.slot = live});
  REQUIRE(version);
  REQUIRE(alice->ledger.show_wait({.slot = 0xffff'fff0}));
  REQUIRE(alice->ledger.show_wait({.name = "a/\x1b[2J"}));
  REQUIRE(alice->ledger.show_wait({.name = ""}));
  CHECK(seen_by(*alice) == "2:name:b/none ");
  pin(*alice, live, 1);
  CHECK(seen_by(*alice) == "1:version:a/x 2:name:b/none ");

  // More than have room sleep unseen, and room comes back.
  for (std::uint32_t shown = 4; shown < shm::kShownWaits; ++shown) {
    REQUIRE(alice->ledger.show_wait({.name = "a/" + std::string(253, 'n')}));
  }
  CHECK_FALSE(alice->ledger.show_wait({.name = "a/y"}));
  alice->ledger.hide_wait(*version);
  CHECK(alice->ledger.show_wait({.name = "a/y"}) == *version);
}

TEST_CASE_METHOD(HoldersFixture, "a visit of waiters goes on at the connection that was refused",
                 "[registry][waiters]") {
  for (auto* member : {&alice, &bob}) REQUIRE((*member)->ledger.show_wait({.name = "a/x"}));
  std::vector<ClientId> visited;
  const auto next = registry.visit_waiters(root->id, false, 0, [&](const auto& waiters) {
    visited.push_back(waiters.front().client);
    return visited.size() < 2;
  });
  REQUIRE(next == bob->id);
  CHECK(visited == std::vector<ClientId>{alice->id, bob->id});
  CHECK(registry.visit_waiters(root->id, false, *next, [](const auto&) { return true; }) == std::nullopt);
  CHECK(registry.visit_waiters(root->id, false, 0xffff'ffff, [](const auto&) { return false; }) ==
        std::nullopt);
}

// ---- quotas -----------------------------------------------------------------------------------

namespace {

// Everybody may read everything, and make two tensors of 64 bytes each; views may keep one that was deleted.
struct QuotaFixture : Fixture {
  std::unique_ptr<Member> alice = join(kAlice), bob = join(kBob), bob_too = join(kBob), root = join(kRoot);

  QuotaFixture() : Fixture(0644, {.bytes = 128, .tensors = 3, .connections = 2, .dying_bytes = 64}) {}
  Quotas::Figures of(const Credentials& who) { return registry.quotas().of(who.uid); }
  // A tensor that this member has deleted while those pinned it.
  SlotIndex dying(Member& owner, const std::string& name, std::vector<Member*> pinners) {
    const SlotIndex slot = publish(owner.id, wanted(name));
    for (Member* const pinner : pinners) {
      REQUIRE(registry.grant(pinner->id, kSegment, Right::kRead));
      pinner->ledger.pin(slot);
    }
    REQUIRE(registry.remove(owner.id, name));
    return slot;
  }
  Errc refusal(ClientId client, const std::string& name) {
    const Result<SlotIndex> slot = begin(client, wanted(name));
    return slot ? Errc::kOk : slot.failure().code;
  }
};

}  // namespace

TEST_CASE_METHOD(QuotaFixture, "what is deleted is charged to every user who pins it, and to nobody else",
                 "[registry][quotas]") {
  const SlotIndex slot = dying(*alice, "a/x", {bob.get(), bob_too.get(), root.get()});
  CHECK(of(kAlice) == Quotas::Figures{.connections = 1});
  CHECK(of(kBob) == Quotas::Figures{.tensors = 1, .connections = 2, .dying_bytes = 64});
  CHECK(of(kRoot) == Quotas::Figures{.tensors = 1, .connections = 1, .dying_bytes = 64});
  bob->ledger.unpin(slot);
  registry.nudge(slot);
  CHECK(of(kBob).dying_bytes == 64);
  bob_too->ledger.unpin(slot);
  registry.nudge(slot);
  CHECK(of(kBob) == Quotas::Figures{.connections = 2});
  registry.remove_client(root->id);
  CHECK(of(kRoot) == Quotas::Figures{});
  CHECK(given_back.size() == 1);
}

TEST_CASE_METHOD(QuotaFixture, "who begins to pin what others keep is charged when they let go",
                 "[registry][quotas]") {
  const SlotIndex slot = dying(*alice, "a/x", {root.get()});
  REQUIRE(registry.grant(bob->id, kSegment, Right::kRead));
  bob->ledger.pin(slot);
  registry.sweep();
  CHECK(of(kBob).dying_bytes == 0);
  root->ledger.unpin(slot);
  SECTION("by a nudge") { registry.nudge(slot); }
  SECTION("by a hang-up") { registry.remove_client(root->id); }
  SECTION("which a sweep finds") { registry.sweep(); }
  CHECK(of(kRoot).dying_bytes == 0);
  CHECK(of(kBob).dying_bytes == 64);
  CHECK(state(slot) == SlotState::kDying);
}

TEST_CASE_METHOD(QuotaFixture, "who has used up his bytes or his tensors is refused, and others go on",
                 "[registry][quotas]") {
  publish(alice->id, wanted("a/x"));
  publish(alice->id, wanted("a/y"));
  const auto refused = begin(alice->id, wanted("a/z"));
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == Errc::kOutOfSpace);
  CHECK_THAT(refused.failure().text, contains_text("--max-bytes-per-user"));
  // Between admit() and begin() another client of hers may have been quicker.
  REQUIRE(registry.remove(alice->id, "a/y"));
  const Pool pool = registry.admit(alice->id, wanted("a/z")).value();
  publish(alice->id, wanted("a/y"));
  CHECK_FALSE(registry.begin(alice->id, wanted("a/z"), pool, Placed{{kSegment, 4096, 64}, 4096}));
  CHECK(of(kAlice) == Quotas::Figures{.bytes = 128, .tensors = 2, .connections = 1});

  const SlotIndex first = begin(bob->id, wanted("b/x")).value();
  NewTensor joining = wanted("b/0");
  joining.room_bytes = 0;
  for (int i = 0; i < 2; ++i) {
    joining.name = "b/" + std::to_string(i);
    joining.in_room_of = Draft{first, registry.word(first)};
    REQUIRE(registry.join(bob->id, joining, registry.admit(bob->id, joining).value()));
  }
  CHECK(of(kBob) == Quotas::Figures{.bytes = 64, .tensors = 3, .connections = 2});
  joining.name = "b/2";
  CHECK_THAT(registry.admit(bob->id, joining).failure().text, contains_text("--max-tensors-per-user"));
}

TEST_CASE_METHOD(QuotaFixture, "who keeps too many dying bytes makes and is granted nothing until he lets go",
                 "[registry][quotas]") {
  const SlotIndex first = dying(*alice, "a/x", {bob.get()});
  CHECK(refusal(bob->id, "b/1") == Errc::kOk);
  const SlotIndex second = dying(*alice, "a/y", {bob.get()});
  CHECK(refusal(bob->id, "b/2") == Errc::kOutOfSpace);
  CHECK(registry.grant(bob_too->id, kSegment, Right::kRead).failure().code == Errc::kOutOfSpace);
  // The deleter is none the worse for it, nor is anybody else.
  CHECK(refusal(alice->id, "a/1") == Errc::kOk);
  CHECK(refusal(alice->id, "a/2") == Errc::kOk);
  CHECK(registry.grant(root->id, kSegment, Right::kRead));
  for (const SlotIndex slot : {first, second}) {
    bob->ledger.unpin(slot);
    registry.nudge(slot);
  }
  CHECK(registry.grant(bob_too->id, kSegment, Right::kRead));
  CHECK(refusal(bob->id, "b/2") == Errc::kOk);
}

TEST_CASE_METHOD(QuotaFixture, "a spare is granted within its user's quota, and goes before he is refused",
                 "[registry][quotas][spare]") {
  const auto grant_spare = [&](Member& member, SlotIndex like) {
    next_offset += 64;
    return registry.grant_spare(member.id, like, Placed{{kSegment, next_offset, 64}, next_offset});
  };
  const SlotIndex model = publish(alice->id, wanted("a/x"));
  const SlotIndex of_root = grant_spare(*root, model).value();
  REQUIRE(grant_spare(*alice, model));
  CHECK(of(kAlice).bytes == 128);
  publish(alice->id, wanted("a/y"));  // in place of the spare
  CHECK(of(kAlice) == Quotas::Figures{.bytes = 128, .tensors = 2, .connections = 1});
  CHECK(given_back.size() == 1);
  CHECK(registry.tensor(of_root).is_spare);
  CHECK_FALSE(grant_spare(*alice, model));
  CHECK(refusal(alice->id, "a/z") == Errc::kOutOfSpace);
  CHECK(registry.tensor(of_root).is_spare);
}
