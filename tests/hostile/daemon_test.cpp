// A daemon that lies: in the catalog, in its replies, in the descriptors that it sends. The property is the
// same everywhere: the client says what is wrong, in an Error, or goes on; it never reads or writes where it
// may not, and never waits for ever. Built with the sanitizers, too, which see what does not crash.
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <future>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "fake_daemon.hpp"
#include "shm/live_header.hpp"
#include "shm/name_hash.hpp"

using namespace tensord;
using namespace tensord::protocol;
using tensord::test::as_message;
using tensord::test::FakeDaemon;
using tensord::test::reply_of;

namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// All that a client does with a view, as far as its memory allows. Returns what it was told, if it was told
// no.
std::string use(const View& view) {
  try {
    std::size_t sum = view.name().size() + view.generation() + view.location().offset_bytes;
    for (const float value : view.as<float>()) sum += value != 0;
    const std::size_t size_bytes = view.size_bytes();
    std::vector<std::byte> own(size_bytes <= FakeDaemon::kSegmentBytes ? size_bytes : 0);
    view.clone_to(own, std::chrono::milliseconds(1));
    view.read(std::span<std::byte>(own), std::chrono::milliseconds(1));
    if (view.kind() == Kind::kSealed) {
      const auto mapping = view.map_private();
      sum += std::to_integer<unsigned>(*mapping);
    } else {
      sum += view.version();
      if (view.mode() == Mode::kReadWrite) view.writing(std::chrono::milliseconds(1)).end();
    }
    if (view.ndim() == 1 && view.shape()[0] > 2)
      sum += static_cast<std::size_t>(view.narrow(0, 1, 2).numel());
    return sum == 1 ? "unlikely" : "";
  } catch (const Error& error) {
    return error.what();
  }
}

// What attaching and using "x" comes to.
std::string attach_and_use(const Store& store, Mode mode = Mode::kRead) {
  try {
    return use(store.attach("x", mode));
  } catch (const Error& error) {
    return error.what();
  }
}

// From now on the daemon answers every Request with this page, and anything else honestly. `page` stays.
template <class Request, class Page>
void answer_with(FakeDaemon& daemon, Page& page) {
  daemon.answer = [&](std::span<const std::byte> request) {
    RequestHeader header;
    std::memcpy(&header, request.data(), sizeof header);
    if (header.type != Request::kType) return daemon.honest(request);
    page.header = {header.type, header.id, Errc::kOk, 0};
    return reply_of(page);
  };
}

}  // namespace

TEST_CASE("a fake daemon that does not lie is one", "[hostile][daemon]") {
  FakeDaemon daemon;
  const Store store = daemon.connect();
  CHECK(attach_and_use(store) == "");
  CHECK(store.names() == std::vector<std::string>{"x"});
  CHECK(store.put<float>("y", std::vector<float>{1, 2, 3}).as<float>()[2] == 3.0f);
  CHECK(store.stats().tensors == 0);
  daemon.show(7, "live", 8192 + shm::kLivePrefixBytes, 4, Kind::kLive);
  CHECK(use(store.attach("live", Mode::kReadWrite)) == "");
}

TEST_CASE("an entry of the catalog that points outside of its segment is an error", "[hostile][daemon]") {
  struct Lie {
    std::string what;
    std::function<void(FakeDaemon&)> tell;
  };
  const std::vector<Lie> lies = {
      {"an offset past the end", [](FakeDaemon& d) { d.slot().offset = FakeDaemon::kSegmentBytes + 1; }},
      {"an offset that wraps", [](FakeDaemon& d) { d.slot().offset = kHuge - 8; }},
      {"a size past the end", [](FakeDaemon& d) { d.slot().size_bytes = FakeDaemon::kSegmentBytes; }},
      {"a size that wraps", [](FakeDaemon& d) { d.slot().size_bytes = kHuge; }},
      {"too many dimensions", [](FakeDaemon& d) { d.slot().ndim = 255; }},
      {"a header past the end",
       [](FakeDaemon& d) { d.slot().live_header_offset = FakeDaemon::kSegmentBytes; }},
      {"a header that is not aligned", [](FakeDaemon& d) { d.slot().live_header_offset = 4097; }},
      {"more elements than there is memory", [](FakeDaemon& d) { d.tail().layout.shape[0] = 1 << 20; }},
      {"elements that no memory could hold", [](FakeDaemon& d) { d.tail().layout.shape[0] = INT64_MAX; }},
      {"a negative extent", [](FakeDaemon& d) { d.tail().layout.shape[0] = -5; }},
      {"strides that lead outside", [](FakeDaemon& d) { d.tail().layout.strides[0] = 1 << 16; }},
      {"negative strides", [](FakeDaemon& d) { d.tail().layout.strides[0] = -1; }},
      {"elements that are not aligned", [](FakeDaemon& d) { d.slot().offset = FakeDaemon::kOffset + 2; }},
      {"elements of no type",
       [](FakeDaemon& d) {
         d.slot().dtype = {99, 255, 65535};
       }},
      {"elements of no size", [](FakeDaemon& d) { d.slot().dtype = {}; }},
  };
  for (const Lie& lie : lies) {
    INFO(lie.what);
    FakeDaemon daemon;
    lie.tell(daemon);
    const std::string told = attach_and_use(daemon.connect());
    CHECK(!told.empty());
    CHECK(told.find("x") != std::string::npos);  // which tensor
  }
}

TEST_CASE("an entry of the catalog that changes under a view is an error when it is used",
          "[hostile][daemon]") {
  FakeDaemon daemon;
  const Store store = daemon.connect();
  const View view = store.attach("x");
  REQUIRE(use(view) == "");
  const shm::SlotTail honest_tail = daemon.tail();
  const auto restore = [&] {
    daemon.show(FakeDaemon::kPublished, "x", FakeDaemon::kOffset, FakeDaemon::kElements);
    std::memcpy(static_cast<void*>(&daemon.tail()), &honest_tail, sizeof honest_tail);
    REQUIRE(use(view) == "");
  };
  daemon.slot().segment = 4711;
  CHECK(!use(view).empty());
  restore();
  daemon.tail().layout.shape[0] = 1 << 20;
  CHECK(!use(view).empty());
  restore();
  daemon.slot().kind = 1;
  daemon.slot().live_header_offset = kHuge;
  CHECK(!use(view).empty());
  restore();
  daemon.slot().dtype = kFloat64;
  CHECK(!use(view).empty());
  restore();
  // Another shape that fits is a lie that nobody can see; it reads what is there.
  daemon.tail().layout.shape[0] = 4;
  CHECK(view.as<float>().size() == 4);
}

TEST_CASE("a live tensor whose header is taken away while it is being written ends without a crash",
          "[hostile][daemon]") {
  FakeDaemon daemon;
  daemon.show(FakeDaemon::kPublished, "x", FakeDaemon::kOffset, FakeDaemon::kElements, Kind::kLive);
  const View view = daemon.connect().attach("x", Mode::kReadWrite);
  Writing writing = view.writing();
  daemon.slot().live_header_offset = kHuge;
  writing.end();
  CHECK_THROWS_WITH(view.version(), contains_text("broken, or hostile"));
}

TEST_CASE("a catalog that changes all the time while it is read crashes nobody", "[hostile][daemon]") {
  FakeDaemon daemon;
  for (std::uint32_t i = 0; i < FakeDaemon::kSlots; ++i) {
    if (i != FakeDaemon::kPublished) daemon.show(i, "other/" + std::to_string(i), 8192 + 64 * i, 4);
  }
  const Store store = daemon.connect();
  REQUIRE(attach_and_use(store) == "");
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> changes = 0;
  std::thread scribbler([&] {
    std::mt19937_64 random(11);
    const auto catalog = daemon.catalog();
    auto* const words = reinterpret_cast<std::uint64_t*>(catalog.data());
    constexpr std::size_t kFirst = shm::kCatalogSignalsOffset / 8;  // the header is read once
    while (!stop) {
      const std::size_t at = kFirst + random() % (catalog.size() / 8 - kFirst);
      const std::uint64_t honest = words[at];
      std::atomic_ref(words[at]).store(random() % 2 == 0 ? random() : honest ^ (1ULL << random() % 64));
      std::this_thread::yield();
      if (random() % 4 != 0) std::atomic_ref(words[at]).store(honest);
      // Now and then all is well again, so that the next lies are reached.
      if (++changes % 512 == 0) {
        for (std::uint32_t i = 0; i < FakeDaemon::kSlots; ++i) {
          const bool is_x = i == FakeDaemon::kPublished;
          daemon.show(i, is_x ? "x" : "other/" + std::to_string(i),
                      is_x ? FakeDaemon::kOffset : 8192 + 64 * i, is_x ? FakeDaemon::kElements : 4);
        }
      }
    }
  });
  std::size_t served = 0, refused = 0;
  for (int i = 0; i < 20'000 || changes < 20'000; ++i) {
    const std::string told = attach_and_use(store);
    ++(told.empty() ? served : refused);
  }
  stop = true;
  scribbler.join();
  CHECK(served > 0);
  CHECK(refused > 0);
}

TEST_CASE("segments that are not what they should be are refused", "[hostile][daemon]") {
  FakeDaemon daemon;
  const os::Memfd unsealed = os::Memfd::create("unsealed", FakeDaemon::kSegmentBytes);
  os::Memfd tiny = os::Memfd::create("tiny", 10);
  tiny.seal_size();
  os::Memfd empty = os::Memfd::create("empty", 0);
  empty.seal_size();
  os::Memfd small = os::Memfd::create("small", 4096);  // ends before the tensor begins
  small.seal_size();
  const std::vector<std::pair<std::string, std::vector<int>>> all = {
      {"none", {}},
      {"not sealed", {unsealed.fd(), unsealed.fd()}},
      {"too small for anything", {tiny.fd(), tiny.fd()}},
      {"empty", {empty.fd(), empty.fd()}},
      {"too small for the tensor", {small.fd(), small.fd()}},
      {"no memory at all", {0, 1}},
      {"two different ones", {daemon.segment_fds[0], small.fd()}},
  };
  for (const auto& [what, fds] : all) {
    INFO(what);
    FakeDaemon liar;
    liar.segment_fds = fds;
    const bool only_for_writing = what == "two different ones";
    const Store store = liar.connect();
    if (!only_for_writing) CHECK(!attach_and_use(store).empty());
    CHECK_THROWS_AS(store.put<float>("y", std::vector<float>(1000)), Error);
  }
  // One that is writable only in name: what is sent for writing was opened for reading.
  FakeDaemon liar;
  liar.segment_fds = {liar.segment_fds[0], liar.segment_fds[0]};
  CHECK_THROWS_AS(liar.connect().put<float>("y", std::vector<float>(1000)), Error);
}

TEST_CASE("a segment that comes along with the welcome is checked like any other", "[hostile][daemon]") {
  FakeDaemon daemon;
  daemon.lies_ahead = true;
  CHECK(attach_and_use(daemon.connect()) == "");
  daemon.segment_fds = {0, 1};
  CHECK_THROWS_AS(daemon.connect(), Error);
  daemon.segment_fds.clear();
  CHECK_THROWS_AS(daemon.connect(), Error);
  daemon.answer = [](std::span<const std::byte>) {
    return FakeDaemon::Reply{std::vector<std::byte>(20), {}};
  };
  CHECK_THROWS_AS(daemon.connect(), ConnectionLostError);
  daemon.answer = [](std::span<const std::byte>) { return FakeDaemon::Reply{}; };
  CHECK_THROWS_AS(daemon.connect(), ConnectionLostError);
}

TEST_CASE("a place for a new tensor that is not one is refused before a byte is written",
          "[hostile][daemon]") {
  const std::vector<std::pair<std::string, std::function<void(CreateReply&)>>> lies = {
      {"a slot past the catalog", [](CreateReply& r) { r.draft.slot = FakeDaemon::kSlots; }},
      {"an offset past the end", [](CreateReply& r) { r.draft.offset = FakeDaemon::kSegmentBytes; }},
      {"an offset that wraps", [](CreateReply& r) { r.draft.offset = kHuge - 100; }},
      {"less memory than was asked for", [](CreateReply& r) { r.draft.size_bytes = 4; }},
      {"more memory than was asked for", [](CreateReply& r) { r.draft.size_bytes = kHuge; }},
  };
  const std::vector<float> values(1000, 1.0f);
  const std::vector<std::int64_t> shape{1000};
  for (const auto& [what, lie] : lies) {
    INFO(what);
    FakeDaemon daemon;
    daemon.answer = [&daemon, lie = lie](std::span<const std::byte> request) {
      auto reply = daemon.honest(request);
      if (auto created = as_message<CreateReply>(reply.bytes);
          created && created->header.type == MessageType::kCreate) {
        lie(*created);
        return reply_of(*created);
      }
      return reply;
    };
    const Store store = daemon.connect();
    CHECK_THROWS_AS(store.put<float>("y", values), Error);
    CHECK_THROWS_AS(store.put_many(std::vector<PutItem>{{"a", {kFloat32, shape, {}, values.data()}}}), Error);
    // Two that share memory lie in one room, of which the daemon gave only the beginning.
    CHECK_THROWS_AS(store.put_many(std::vector<PutItem>{{"a", {kFloat32, shape, {}, values.data()}},
                                                        {"b", {kFloat32, shape, {}, values.data()}}}),
                    Error);
  }
}

TEST_CASE("what the catalog says of a tensor just published is checked, too", "[hostile][daemon]") {
  FakeDaemon daemon;
  daemon.answer = [&](std::span<const std::byte> request) {
    const auto reply = daemon.honest(request);
    RequestHeader header;
    std::memcpy(&header, request.data(), sizeof header);
    if (header.type == MessageType::kPublish) daemon.slot(FakeDaemon::kBuilding).offset = kHuge / 2;
    if (header.type == MessageType::kPublishMany) daemon.slot(FakeDaemon::kBuilding).segment = 4711;
    return reply;
  };
  const Store store = daemon.connect();
  const std::vector<float> values(10);
  const std::vector<std::int64_t> shape{10};
  CHECK_THROWS_WITH(store.put<float>("y", values), contains_text("outside of its segment"));
  CHECK_THROWS_WITH(store.put_many(std::vector<PutItem>{{"a", {kFloat32, shape, {}, values.data()}}}),
                    contains_text("has changed"));
}

TEST_CASE("replies that are not replies to what was asked end the connection, by either road",
          "[hostile][daemon]") {
  struct Lie {
    std::string what;
    std::function<void(FakeDaemon::Reply&)> tell;
  };
  const auto header = [](FakeDaemon::Reply& reply, auto&& change) {
    ReplyHeader changed;
    std::memcpy(&changed, reply.bytes.data(), sizeof changed);
    change(changed);
    std::memcpy(reply.bytes.data(), &changed, sizeof changed);
  };
  const std::vector<Lie> lies = {
      {"cut short", [](FakeDaemon::Reply& r) { r.bytes.pop_back(); }},
      {"of one byte", [](FakeDaemon::Reply& r) { r.bytes.resize(1); }},
      {"with a tail", [](FakeDaemon::Reply& r) { r.bytes.resize(r.bytes.size() + 8); }},
      {"of the largest size", [](FakeDaemon::Reply& r) { r.bytes.resize(kMaxMessageBytes - 1); }},
      {"with another id", [&](FakeDaemon::Reply& r) { header(r, [](ReplyHeader& h) { h.id += 1000; }); }},
      {"with no id", [&](FakeDaemon::Reply& r) { header(r, [](ReplyHeader& h) { h.id = 0; }); }},
      {"an error that is none",
       [&](FakeDaemon::Reply& r) { header(r, [](ReplyHeader& h) { h.status = Errc::kNotFound; }); }},
      {"hanging up", [](FakeDaemon::Reply& r) { r.bytes.clear(); }},
  };
  for (const Lie& lie : lies) {
    for (const bool by_socket : {false, true}) {
      INFO(lie.what << (by_socket ? ", by socket" : ", by ring"));
      FakeDaemon daemon;
      daemon.answer = [&](std::span<const std::byte> request) {
        auto reply = daemon.honest(request);
        lie.tell(reply);
        return reply;
      };
      const Store store = daemon.connect();
      // A page of names is too large for the ring.
      CHECK_THROWS_AS(by_socket ? static_cast<void>(store.names()) : static_cast<void>(store.stats()),
                      ConnectionLostError);
      CHECK_THROWS_AS(store.stats(), ConnectionLostError);  // and it stays so
    }
  }
}

TEST_CASE("errors with codes and texts of garbage are errors", "[hostile][daemon]") {
  FakeDaemon daemon;
  std::uint32_t code = 0;
  daemon.answer = [&](std::span<const std::byte> request) {
    RequestHeader header;
    std::memcpy(&header, request.data(), sizeof header);
    ErrorReply error;
    error.header = {header.type, header.id, static_cast<Errc>(code), 0};
    error.text.size = 0xffff'ffff;
    error.text.bytes.fill('\xff');
    return reply_of(error);
  };
  const Store store = daemon.connect();
  for (const std::uint32_t each : {1u, 2u, 7u, 12u, 13u, 99u, 0xffff'ffffu}) {
    code = each;
    CHECK_THROWS_AS(store.stats(), Error);
  }
}

TEST_CASE("a daemon that answers more than it was asked is not listened to for ever", "[hostile][daemon]") {
  FakeDaemon daemon;
  SECTION("in the ring") {
    const std::uint32_t id = GENERATE(0u, 77u);
    const Store store = daemon.connect();
    CHECK(store.stats().tensors == 0);
    // Every later request is answered already, each with a tensor that was made for nobody.
    shm::RingMemory& ring = shm::ring_of(daemon.ledger(), FakeDaemon::kSlots);
    for (shm::RingEntry& entry : ring.entries) {
      CreateReply created;
      created.header = {MessageType::kCreate, id, Errc::kOk, 0};
      entry.reply_bytes = sizeof created;
      std::memcpy(entry.reply, &created, sizeof created);
    }
    daemon.leave();  // it looks no more; its socket hangs up, but the answers are there
    ring.answered.store(0x4000'0000);
    CHECK_THROWS_AS(store.stats(), ConnectionLostError);
    CHECK_THROWS_AS(store.stats(), ConnectionLostError);
  }
  SECTION("with pages of names that never end") {
    daemon.answer = [&](std::span<const std::byte> request) {
      auto reply = daemon.honest(request);
      auto page = as_message<ListReply>(reply.bytes);
      if (!page) return reply;
      page->count = 1;
      page->more = 1;
      page->names = {1, 'x'};
      return reply_of(*page);
    };
    CHECK_THROWS_WITH(daemon.connect().names(), contains_text("out of order"));
  }
  SECTION("with pages of holders that do not go on, or say more than they hold") {
    HoldersReply page;
    answer_with<Holders>(daemon, page);
    page.more = 1;
    const Store store = daemon.connect();
    CHECK_THROWS_WITH(store.holders(), contains_text("do not go on"));
    page.more = 0;
    page.count = HoldersReply::kMaxEntries + 1;
    CHECK_THROWS_AS(store.holders(), InternalError);
    page.count = 1;
    page.entries[0].state = 99;
    CHECK_THROWS_AS(store.holders(), InternalError);
    page.entries[0].state = 0;
    page.entries[0].name.size = 0xffff'ffff;
    page.entries[0].pid = 0xffff'ffff;
    CHECK(store.holders().at(0).command == "?");
  }
  SECTION("with pages of users that do not go on, or say more than they hold") {
    UsersReply page;
    answer_with<Users>(daemon, page);
    page.more = 1;
    const Store store = daemon.connect();
    CHECK_THROWS_WITH(store.users(), contains_text("do not go on"));
    page.more = 0;
    page.count = UsersReply::kMaxEntries + 1;
    CHECK_THROWS_AS(store.users(), InternalError);
  }
  SECTION("with pages of waiters that do not go on, or say more than they hold") {
    WaitersReply page;
    answer_with<Waiters>(daemon, page);
    page.more = 1;
    const Store store = daemon.connect();
    CHECK_THROWS_WITH(store.waiters(), contains_text("do not go on"));
    page.more = 0;
    page.count = WaitersReply::kMaxEntries + 1;
    CHECK_THROWS_AS(store.waiters(), InternalError);
    page.count = 1;
    page.entries[0].waits_for = 99;
    CHECK_THROWS_AS(store.waiters(), InternalError);
  }
  SECTION("kept by nobody knows what") {
    StatsReply reply;
    answer_with<Stats>(daemon, reply);
    reply.kept_by = 99;
    CHECK_THROWS_AS(daemon.connect().stats(), InternalError);
  }
  SECTION("with a page of names that reaches past its end") {
    daemon.answer = [&](std::span<const std::byte> request) {
      auto reply = daemon.honest(request);
      auto page = as_message<ListReply>(reply.bytes);
      if (!page) return reply;
      page->count = 0xffff'ffff;
      page->names.fill('\xff');
      return reply_of(*page);
    };
    CHECK_THROWS_AS(daemon.connect().names(), Error);
  }
  SECTION("with a page of names whose last one reaches past its end") {
    daemon.answer = [&](std::span<const std::byte> request) {
      auto reply = daemon.honest(request);
      auto page = as_message<ListReply>(reply.bytes);
      if (!page) return reply;
      constexpr std::size_t kSize = 255;
      page->count = 0;
      for (std::size_t at = 0; at < page->names.size(); at += 1 + kSize, ++page->count) {
        page->names[at] = static_cast<char>(kSize);
        if (at + 1 < page->names.size()) page->names[at + 1] = static_cast<char>('a' + page->count);
      }
      return reply_of(*page);
    };
    CHECK_THROWS_WITH(daemon.connect().names(), contains_text("a broken page of names"));
  }
}

TEST_CASE("a daemon that finds what the catalog does not show is not believed for ever",
          "[hostile][daemon]") {
  FakeDaemon daemon;
  daemon.slot().store_word(shm::SlotWord::of(9, shm::SlotState::kFree));
  daemon.answer = [&](std::span<const std::byte> request) {
    RequestHeader header;
    std::memcpy(&header, request.data(), sizeof header);
    FindReply reply;
    reply.header = {header.type, header.id, Errc::kOk, 0};
    reply.slot = FakeDaemon::kPublished;
    reply.segment = FakeDaemon::kSegment;
    reply.spec.ndim = 99;
    return reply_of(reply, header.type == MessageType::kFind && request.size() == sizeof(Find) &&
                                   as_message<Find>(request)->access != Access::kNone
                               ? std::vector<int>{daemon.segment_fds[0]}
                               : std::vector<int>{});
  };
  const Store store = daemon.connect();
  CHECK_THROWS_AS(store.attach("x"), TimeoutError);
  CHECK_THROWS_WITH(store.info("x"), contains_text("too many dimensions"));
}

TEST_CASE("a welcome with a catalog or a ledger of garbage is refused", "[hostile][daemon]") {
  struct Lie {
    std::string what;
    std::function<void(FakeDaemon&)> tell;
  };
  const auto header = [](FakeDaemon& d) { return reinterpret_cast<shm::CatalogHeader*>(d.catalog().data()); };
  const auto ledger = [](FakeDaemon& d) { return reinterpret_cast<shm::LedgerHeader*>(d.ledger().data()); };
  os::Memfd other = os::Memfd::create("other", 3 * 4096);
  other.seal_size();
  const auto with_fds = [](FakeDaemon& d, std::vector<int> fds) {
    d.welcome = [fds](FakeDaemon::Reply reply) { return FakeDaemon::Reply{reply.bytes, fds}; };
  };
  const std::vector<Lie> lies = {
      {"another magic", [&](FakeDaemon& d) { header(d)->magic = 1; }},
      {"another layout", [&](FakeDaemon& d) { header(d)->layout_version = 0; }},
      {"no slots", [&](FakeDaemon& d) { header(d)->slot_count = 0; }},
      {"more slots than there is memory", [&](FakeDaemon& d) { header(d)->slot_count = shm::kMaxSlots; }},
      {"more slots than there may be", [&](FakeDaemon& d) { header(d)->slot_count = 0xffff'ffff; }},
      {"an index of another size", [&](FakeDaemon& d) { header(d)->index_capacity = 1 << 30; }},
      {"slots elsewhere", [&](FakeDaemon& d) { header(d)->slots_offset = kHuge; }},
      {"tails elsewhere", [&](FakeDaemon& d) { header(d)->tails_offset = 0; }},
      {"another size", [&](FakeDaemon& d) { header(d)->size_bytes = 4096; }},
      {"garbage all over", [&](FakeDaemon& d) { std::ranges::fill(d.catalog(), std::byte{0xff}); }},
      {"a ledger of another magic", [&](FakeDaemon& d) { ledger(d)->magic = 1; }},
      {"a ledger for more slots", [&](FakeDaemon& d) { ledger(d)->slot_count = FakeDaemon::kSlots + 1; }},
      {"one descriptor", [&](FakeDaemon& d) { with_fds(d, {other.fd()}); }},
      {"other memory",
       [&](FakeDaemon& d) {
         with_fds(d, {other.fd(), other.fd()});
       }},
      {"a ledger that is the catalog",
       [&](FakeDaemon& d) {
         d.welcome = [](FakeDaemon::Reply reply) {
           return FakeDaemon::Reply{reply.bytes, {reply.fds[0], reply.fds[0]}};
         };
       }},
  };
  for (const Lie& lie : lies) {
    INFO(lie.what);
    FakeDaemon daemon;
    lie.tell(daemon);
    CHECK_THROWS_AS(daemon.connect(), ConnectionLostError);
  }
}

TEST_CASE("an index that sends every name to every slot finds only what has the name", "[hostile][daemon]") {
  FakeDaemon daemon;
  const std::uint64_t hash = shm::name_hash("x", 7);
  auto* const index = reinterpret_cast<std::uint64_t*>(daemon.catalog().data() + shm::kCatalogIndexOffset);
  const auto* const header = reinterpret_cast<const shm::CatalogHeader*>(daemon.catalog().data());
  // Entries of the right tag: to slots that do not exist, and to each that does.
  for (std::uint64_t i = 0; i < header->index_capacity; ++i) {
    index[i] = (hash & 0xffff'ffff'0000'0000) | (i % 2 == 0 ? 0xffff'ff00 + i : 1 + i % FakeDaemon::kSlots);
  }
  const Store store = daemon.connect();
  CHECK(attach_and_use(store) == "");
  CHECK_THROWS_AS(store.attach("y"), NotFoundError);
}

TEST_CASE("a daemon that says it ends, and serves on, is told of in the end", "[hostile][daemon]") {
  // Both patiences at once: they are long.
  FakeDaemon stopping, restarting;
  ShutdownReply stopped, restarted;
  answer_with<Shutdown>(stopping, stopped);
  answer_with<Shutdown>(restarting, restarted);
  const Store stops = stopping.connect(), restarts = restarting.connect();
  auto stop = std::async(std::launch::async, [&] { stops.shutdown(); });
  CHECK_THROWS_WITH(restarts.restart_daemon(), contains_text("asked to restart, but pid"));
  CHECK_THROWS_AS(stop.get(), TimeoutError);
}
