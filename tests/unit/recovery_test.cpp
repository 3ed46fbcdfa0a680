// A registry that is recovered from catalog and book, whole or damaged.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "book.hpp"
#include "catch.hpp"
#include "protocol/tensor_spec.hpp"
#include "registry.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"
#include "shm/name_hash.hpp"
#include "space.hpp"
#include "zeroed_memory.hpp"

using namespace tensord;
using namespace tensord::daemon;
using shm::SlotState;
using tensord::test::ZeroedMemory;

namespace {

constexpr std::uint32_t kSlots = 64;
constexpr std::uint64_t kSegmentBytes = 1 << 20;
constexpr SegmentId kSegment = protocol::make_segment_id(1, 1);
const Credentials kAlice{1, 1000, 1000};

// What outlives a daemon: catalog, book and a ledger of each client; segments are only numbers here.
struct Remains {
  ZeroedMemory catalog{shm::catalog_size_bytes(kSlots)};
  ZeroedMemory book{book_size_bytes(kSlots)};
  std::map<ClientId, std::unique_ptr<ZeroedMemory>> ledgers;
};

shm::CatalogWriter new_catalog(Remains& remains) {
  return shm::CatalogWriter(remains.catalog.bytes(), kSlots, 7, {});
}

// One daemon's life. It may end at any time: nothing happens then.
struct Daemon {
  Daemon(Remains& all, bool is_first)
      : remains(all),
        book(is_first ? Book::begin(all.book.bytes(), kSlots) : Book::open(all.book.bytes()).value()),
        space(kSegmentBytes, kSegmentBytes),
        registry(is_first ? new_catalog(all) : shm::CatalogWriter::reopen(all.catalog.bytes()).value(), book,
                 0600, [this](const Extent& extent) { space.free(extent); }) {
    if (!is_first) return;
    const NewTensor first = wanted("a/first");
    const ClientId nobody = join();
    pool = registry.admit(nobody, first).value();
    space.restore_segment(kSegment, {pool, kSegmentBytes, true});
    registry.segment_added(kSegment, pool);
    registry.remove_client(nobody);
  }
  // As the daemon after another one does it.
  Registry::Recovered recover(Pool of_segment, const std::set<ClientId>& gone = {}) {
    pool = of_segment;
    space.restore_segment(kSegment, {pool, kSegmentBytes, true});
    registry.segment_added(kSegment, pool);
    for (std::uint32_t place = 0; place < 16; ++place) {
      const ClientId id = book.clients()[place].id.load();
      const auto ledger = remains.ledgers.find(id);
      if (id == 0 || gone.contains(id) || ledger == remains.ledgers.end()) continue;
      REQUIRE(registry.restore_client(place, kAlice, scanner(*ledger->second)));
    }
    return registry.recover([this](const Extent& extent) { return space.occupy(extent); });
  }

  ClientId join() {
    auto memory = std::make_unique<ZeroedMemory>(shm::ledger_size_bytes(kSlots));
    shm::format_ledger(memory->bytes(), kSlots);
    const ClientId id = registry.add_client(kAlice, scanner(*memory));
    remains.ledgers.emplace(id, std::move(memory));
    return id;
  }
  [[nodiscard]] static shm::LedgerScanner scanner(ZeroedMemory& memory) {
    return shm::LedgerScanner(memory.bytes(), kSlots);
  }
  shm::Ledger ledger(ClientId id) {
    return shm::Ledger::open(remains.ledgers.at(id)->bytes(), kSlots).value();
  }
  static NewTensor wanted(const std::string& name) {
    NewTensor tensor;
    tensor.name = name;
    const std::int64_t shape[] = {16};
    tensor.spec = protocol::make_contiguous_spec(kFloat32, shape).value();
    tensor.size_bytes = tensor.room_bytes = 64;
    tensor.replace = true;
    return tensor;
  }
  SlotIndex begin(ClientId client, const std::string& name) {
    const NewTensor tensor = wanted(name);
    REQUIRE(registry.admit(client, tensor));
    const auto placed = std::get<Placed>(space.place(pool, 64, 0));
    return registry.begin(client, tensor, pool, placed).value();
  }
  SlotIndex put(ClientId client, const std::string& name) {
    const SlotIndex slot = begin(client, name);
    REQUIRE(registry.publish(client, slot, registry.word(slot)));
    return slot;
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    registry.visit_names("", "", [&](std::string_view name) {
      all.emplace_back(name);
      return true;
    });
    return all;
  }
  // The slot that a reader finds in the index.
  std::optional<SlotIndex> seen(const std::string& name) {
    const auto reader = shm::CatalogReader::open(remains.catalog.bytes()).value();
    std::optional<SlotIndex> found;
    reader.find(shm::name_hash(name, reader.hash_seed()), [&](std::uint32_t slot) {
      if (!shm::has_name(reader.slot(slot), reader.tail(slot), name)) return false;
      found = slot;
      return true;
    });
    return found;
  }

  Remains& remains;
  Book book;
  Space space;
  Registry registry;
  Pool pool;
};

}  // namespace

TEST_CASE("a recovered registry has the same names, drafts, clients and bytes, and goes on", "[recovery]") {
  Remains remains;
  Daemon before(remains, /*is_first=*/true);
  const ClientId client = before.join();
  const ClientId other = before.join();
  REQUIRE(before.registry.grant(other, kSegment, Right::kRead));
  before.put(client, "a/one");
  const SlotIndex pinned = before.put(client, "a/two");
  before.ledger(other).pin(pinned);
  REQUIRE(before.registry.remove(client, "a/two"));
  const SlotIndex draft = before.begin(client, "a/three");
  const std::uint64_t word = before.registry.word(draft);

  Daemon after(remains, /*is_first=*/false);
  CHECK(after.recover(before.pool).tensors_lost == 0);
  CHECK(after.names() == std::vector<std::string>{"a/one"});
  CHECK(after.seen("a/one"));
  CHECK(after.space.figures().used_bytes == before.space.figures().used_bytes);
  CHECK(after.registry.figures().dying_bytes == 64);
  REQUIRE(after.registry.publish(client, draft, word));
  after.ledger(other).unpin(pinned);
  after.registry.nudge(pinned);
  CHECK(after.registry.figures().dying == 0);
  CHECK(after.space.figures().used_bytes == 2 * 64);
  // Numbers go on, too: nobody is taken for somebody who was there before.
  CHECK(after.join() > other);
  CHECK(after.names() == std::vector<std::string>{"a/one", "a/three"});
}

TEST_CASE("what a client that did not come back was building or had bound to it is dropped", "[recovery]") {
  Remains remains;
  Daemon before(remains, true);
  const ClientId client = before.join();
  const ClientId gone = before.join();
  before.put(client, "a/stays");
  before.begin(gone, "a/draft");
  NewTensor bound = Daemon::wanted("a/bound");
  bound.lifetime = Lifetime::kClient;
  const SlotIndex slot =
      before.registry
          .begin(gone, bound, before.pool, std::get<Placed>(before.space.place(before.pool, 64, 0)))
          .value();
  REQUIRE(before.registry.publish(gone, slot, before.registry.word(slot)));

  Daemon after(remains, false);
  after.recover(before.pool, {gone});
  CHECK(after.names() == std::vector<std::string>{"a/stays"});
  CHECK(after.registry.figures().building == 0);
  CHECK(after.space.figures().used_bytes == 64);
}

TEST_CASE("of two tensors that are published under one name the later one counts", "[recovery]") {
  Remains remains;
  Daemon before(remains, true);
  const ClientId client = before.join();
  const SlotIndex older = before.put(client, "a/name");
  before.ledger(client).pin(older);
  REQUIRE(before.registry.grant(client, kSegment, Right::kRead));
  const SlotIndex newer = before.put(client, "a/name");
  // As if the daemon had died between the two.
  auto writer = shm::CatalogWriter::reopen(remains.catalog.bytes()).value();
  writer.slot(older).store_word(writer.slot(older).load_word().with(SlotState::kPublished));

  Daemon after(remains, false);
  after.recover(before.pool);
  CHECK(after.registry.find("a/name").value() == newer);
  CHECK(after.registry.figures().dying == 1);
}

TEST_CASE("what a daemon of another layout left is not taken over, and not changed", "[recovery]") {
  Remains remains;
  {
    Daemon before(remains, true);
    before.put(before.join(), "a/b");
  }
  REQUIRE(Book::open(remains.book.bytes()));
  CHECK_FALSE(Book::open(remains.book.bytes().first(4096)));
  CHECK_FALSE(Book::open(remains.book.bytes().first(remains.book.bytes().size() - 4096)));
  auto& version = reinterpret_cast<BookHeader*>(remains.book.bytes().data())->version;
  ++version;
  CHECK_FALSE(Book::open(remains.book.bytes()));
  --version;
  auto& layout = reinterpret_cast<shm::CatalogHeader*>(remains.catalog.bytes().data())->layout_version;
  ++layout;
  CHECK_FALSE(shm::CatalogWriter::reopen(remains.catalog.bytes()));
  --layout;
  Daemon after(remains, false);
  after.recover(Pool{1, Kind::kSealed});
  CHECK(after.names() == std::vector<std::string>{"a/b"});
}

TEST_CASE("a store of which any bytes were damaged is recovered without what cannot be, and never crashes",
          "[recovery]") {
  std::mt19937 random(2026);
  const auto below = [&](std::uint64_t bound) { return static_cast<std::size_t>(random() % bound); };
  std::size_t lost = 0, kept = 0;
  for (int round = 0; round < 400; ++round) {
    Remains remains;
    Pool pool;
    {
      Daemon before(remains, true);
      pool = before.pool;
      const ClientId client = before.join();
      for (int i = 0; i < 20; ++i) before.put(client, "a/" + std::to_string(i % 15));
      before.begin(client, "a/draft");
    }
    // In what is in use of each: slots and tails, the book's head, clients, namespaces, segments, records.
    const auto reader = shm::CatalogReader::open(remains.catalog.bytes()).value();
    auto book = Book::open(remains.book.bytes()).value();
    const auto bytes_of = [](auto& value) {
      return std::span(
          reinterpret_cast<std::byte*>(const_cast<std::remove_cvref_t<decltype(value)>*>(&value)),
          sizeof value);
    };
    const std::size_t blows = 1 + below(8);
    for (std::size_t blow = 0; blow < blows; ++blow) {
      std::span<std::byte> victim;
      const auto slot = static_cast<std::uint32_t>(below(24));
      switch (below(6)) {
        case 0: victim = bytes_of(reader.slot(slot)); break;
        case 1: victim = bytes_of(reader.tail(slot)); break;
        case 2: victim = bytes_of(book.slot(slot)); break;
        case 3: victim = bytes_of(book.clients()[below(3)]).first(64); break;
        case 4: victim = bytes_of(book.namespaces()[below(2)]); break;
        default:
          victim = bytes_of(book.header()).subspan(24);
          break;  // magic, version and size are looked at
      }
      if (below(2) == 0) {
        victim[below(victim.size())] = static_cast<std::byte>(random());
      } else {
        const std::uint64_t value = below(3) == 0 ? ~std::uint64_t{0} : random();
        std::memcpy(&victim[below(victim.size() / 8) * 8], &value, sizeof value);
      }
    }
    Daemon after(remains, false);
    lost += after.recover(pool).tensors_lost;
    const std::vector<std::string> names = after.names();
    kept += names.size();
    // And what there is works.
    const ClientId client = after.join();
    for (const std::string& name : names) static_cast<void>(after.registry.remove(client, name));
    if (after.registry.admit(client, Daemon::wanted("b/new"))) after.registry.remove_client(client);
  }
  CHECK(lost > 0);
  CHECK(kept > 0);
}
