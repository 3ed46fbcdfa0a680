// Several tensors at once: published together or not at all, seen at one moment, sharing what they shared.
#include <csignal>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;

namespace {

// Names and arrays that stay where they are while a batch borrows them.
struct Set {
  explicit Set(std::size_t count, std::int64_t length, std::int32_t value, const std::string& prefix = "set/")
      : shape{length}, values(count * static_cast<std::size_t>(length), value) {
    for (std::size_t i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
    for (std::size_t i = 0; i < count; ++i) {
      items.push_back({names[i], {kInt32, shape, {}, &values[i * static_cast<std::size_t>(length)]}});
    }
    for (const std::string& name : names) views_of_names.push_back(name);
  }
  Set(const Set&) = delete;
  Set& operator=(const Set&) = delete;

  std::vector<std::int64_t> shape;
  std::vector<std::int32_t> values;
  std::vector<std::string> names;
  std::vector<PutItem> items;
  std::vector<std::string_view> views_of_names;
};

Array array_of(const std::vector<float>& values, const std::vector<std::int64_t>& shape,
               const std::vector<std::int64_t>& strides = {}, std::size_t offset = 0) {
  return {kFloat32, shape, strides, values.data() + offset};
}

bool nothing_left(const Store& store) {
  return eventually([&] {
    const StoreStats stats = store.stats();
    return stats.building_tensors == 0 && stats.dying_tensors == 0 && stats.used_bytes == 0;
  });
}

}  // namespace

TEST_CASE("ten thousand tensors go in and come out again with a handful of round trips", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Set set(10'000, 4, 0);
  std::iota(set.values.begin(), set.values.end(), 0);

  const std::uint64_t requests_before = store.client_stats().requests;
  const std::vector<View> put = store.put_many(set.items);
  CHECK(store.client_stats().requests - requests_before == 3);  // the Creates, one segment, the publication
  CHECK(store.client_stats().bytes_copied_in == set.values.size() * 4);
  REQUIRE(put.size() == set.items.size());

  // Another process finds all of them; the segment came when it connected, and the names cost nothing.
  const int status = in_child([&] {
    const Store other = daemon.connect();
    const std::vector<View> views = other.attach_many(set.views_of_names);
    for (std::size_t i = 0; i < views.size(); ++i) {
      if (views[i].name() != set.names[i]) return 2;
      if (views[i].as<std::int32_t>()[3] != static_cast<std::int32_t>(4 * i + 3)) return 3;
    }
    if (other.client_stats().requests != 0) return 4;
    return 0;
  });
  CHECK(status == 0);
  CHECK(put[9'999].as<std::int32_t>()[0] == 39'996);
  CHECK(store.stats().building_tensors == 0);
}

TEST_CASE("of a batch that fails in the middle nothing is published and nothing is left", "[many]") {
  const DaemonProcess daemon({"--max-tensors", "600", "--max-bytes", "64MiB"});
  const Store store = daemon.connect();
  std::vector<float> values(4, 1.0f);
  const std::vector<std::int64_t> shape{4};

  SECTION("because one name is taken") {
    const View taken = store.put<float>("set/299", values);
    const Set set(300, 4, 7);
    CHECK_THROWS_AS(store.put_many(set.items), AlreadyExistsError);
    CHECK(store.names() == std::vector<std::string>{"set/299"});
    CHECK(store.stats().building_tensors == 0);
    store.remove("set/299");
  }
  SECTION("because the slots run out") {
    const Set set(700, 4, 7);
    CHECK_THROWS_AS(store.put_many(set.items), OutOfSpaceError);
    CHECK(store.names().empty());
    CHECK(store.stats().building_tensors == 0);
    // And the same connection goes on.
    const Set fits(600, 4, 8);
    CHECK(store.put_many(fits.items).size() == 600);
    for (const std::string& name : fits.names) store.remove(name);
  }
  SECTION("because one is too large") {
    std::vector<std::int32_t> many(1024);
    Set set(100, 4, 7);
    const std::vector<std::int64_t> large{std::int64_t{1} << 30};
    set.items[50].array.shape = large;
    CHECK_THROWS_AS(store.put_many(set.items), OutOfSpaceError);
    CHECK(store.names().empty());
  }
  SECTION("because a name comes twice, which is said before anything is asked of the daemon") {
    Set set(3, 4, 7);
    set.items[2].name = set.items[0].name;
    const std::uint64_t requests = store.client_stats().requests;
    CHECK_THROWS_WITH(store.put_many(set.items), contains_text("'set/0'"));
    CHECK(store.client_stats().requests == requests);
  }
  SECTION("because a name was taken only after the tensors were created") {
    std::vector<Builder> builders;
    for (int i = 0; i < 300; ++i) builders.push_back(store.build("set/" + std::to_string(i), kInt32, shape));
    const View taken = store.put<float>("set/298", values);
    CHECK_THROWS_AS(store.publish_many(builders), AlreadyExistsError);
    CHECK(store.names() == std::vector<std::string>{"set/298"});
    CHECK(store.stats().building_tensors == 300);
    // They are as they were: once the name is free, they can be published.
    store.remove("set/298");
    CHECK(store.publish_many(builders).size() == 300);
    CHECK(store.names().size() == 300);
    CHECK_THROWS_AS(builders[0].mutable_data(), InvalidArgumentError);
    for (const std::string& name : store.names()) store.remove(name);
  }
  CHECK(nothing_left(store));
}

TEST_CASE("a batch of no tensors is no request", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  CHECK(store.put_many({}).empty());
  CHECK(store.publish_many({}).empty());
  CHECK(store.attach_many({}).empty());
  CHECK(store.client_stats().requests == 0);
}

TEST_CASE("two builders of one name are not published together", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<std::int64_t> shape{4};
  std::vector<Builder> builders;
  for (int i = 0; i < 2; ++i) builders.push_back(store.build("a/x", kFloat32, shape));
  CHECK_THROWS_WITH(store.publish_many(builders), contains_text("'a/x': give each a name of its own"));
  CHECK(store.names().empty());
}

TEST_CASE("builders of another store are not published with ours", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect(), other = daemon.connect();
  std::vector<Builder> builders;
  builders.push_back(store.build("a/x", kInt32, std::vector<std::int64_t>{4}));
  builders.push_back(other.build("a/y", kInt32, std::vector<std::int64_t>{4}));
  CHECK_THROWS_AS(store.publish_many(builders), InvalidArgumentError);
  CHECK(store.names().empty());
}

TEST_CASE("attach_many names the first tensor that is not there", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Set set(3, 4, 1);
  store.put_many(set.items);
  const std::vector<std::string_view> names{"set/0", "set/none", "set/2"};
  CHECK_THROWS_AS(store.attach_many(names), NotFoundError);
  CHECK_THROWS_WITH(store.attach_many(names), contains_text("'set/none'"));
}

TEST_CASE("who attaches while a set is replaced again and again never sees two versions of it", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  constexpr std::size_t kTensors = 24;
  constexpr int kAttaches = 4'000;
  store.put_many(Set(kTensors, 16, 0).items);

  const pid_t writer = ::fork();
  if (writer == 0) {
    try {
      const Store mine = daemon.connect();
      for (std::int32_t version = 1;; ++version) {
        // Every other batch is somebody else's: it must not disturb.
        mine.put_many(Set(kTensors, 16, version).items, {.replace = true});
        mine.put_many(Set(2, 16, version, "other/").items, {.replace = true});
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the writer: %s\n", error.what());
    }
    ::_exit(1);
  }

  const auto read = [&] {
    const Store mine = daemon.connect();
    const Set set(kTensors, 16, 0);
    std::int32_t newest = 0;
    int versions = 0;
    for (int i = 0; i < kAttaches || versions < 50; ++i) {
      const std::vector<View> views = mine.attach_many(set.views_of_names);
      const std::int32_t version = views[0].as<std::int32_t>()[0];
      for (const View& view : views) {
        for (const std::int32_t value : view.as<std::int32_t>()) {
          if (value != version) return 2;
        }
      }
      if (version < newest) return 3;
      versions += version != newest ? 1 : 0;
      newest = version;
    }
    return 0;
  };
  const pid_t reader = ::fork();
  if (reader == 0) {
    int code = 1;
    try {
      code = read();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a reader: %s\n", error.what());
    }
    ::_exit(code);
  }
  CHECK(in_child(read) == 0);
  int status = -1;
  ::waitpid(reader, &status, 0);
  CHECK(status == 0);
  ::kill(writer, SIGKILL);
  ::waitpid(writer, &status, 0);
  CHECK(WIFSIGNALED(status));

  for (const std::string& name : store.names()) store.remove(name);
  CHECK(nothing_left(store));
}

TEST_CASE("an interrupt in the middle of a batch leaves nothing of it", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Set set(20'000, 4, 7);
  // What Python's Ctrl-C does: a signal interrupts a wait, and the check throws.
  struct Interrupted {};
  static int countdown = 0;
  Store::set_interrupt_check([] {
    if (countdown > 0 && --countdown == 0) throw Interrupted{};
  });
  struct sigaction action {};
  action.sa_handler = [](int) {};  // no SA_RESTART
  ::sigaction(SIGALRM, &action, nullptr);
  int interrupted = 0;
  for (int round = 1; round <= 12; ++round) {
    countdown = round;
    itimerval timer{{0, 500}, {0, 500}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    try {
      store.put_many(set.items);
    } catch (const Interrupted&) {
      ++interrupted;
    }
    timer = {};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    countdown = 0;
    // The next request takes in what came late; then nothing is left in the making.
    const std::vector<std::string> names = store.names();
    INFO("round " << round << ", " << names.size() << " names");
    CHECK((names.empty() || names.size() == set.names.size()));
    CHECK(store.stats().building_tensors == 0);
    for (const std::string& name : names) store.remove(name);
  }
  Store::set_interrupt_check({});
  CHECK(interrupted > 0);
  CHECK(nothing_left(store));
}

TEST_CASE("when the daemon dies in the middle of a batch the error says so", "[many]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Set set(20'000, 4, 7);
  const pid_t killer = ::fork();
  if (killer == 0) {
    ::usleep(3'000);
    ::kill(daemon.pid(), SIGKILL);
    ::_exit(0);
  }
  CHECK_THROWS_AS(
      [&] {
        for (;;) store.put_many(set.items, {.replace = true});
      }(),
      ConnectionLostError);
  ::waitpid(killer, nullptr, 0);
}

// ---- shared memory ------------------------------------------------------------------------------

TEST_CASE("arrays that overlap share memory in the store, too, when they are to", "[many][shared]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<float> values(1'000);
  std::iota(values.begin(), values.end(), 0.0f);
  const std::vector<std::int64_t> all{1'000}, half{500}, matrix{10, 100}, column{10}, steps{100};
  const std::vector<float> apart(8, -1.0f);
  const std::vector<std::int64_t> eight{8};
  const std::vector<PutItem> items = {
      {"m/upper", array_of(values, half, {}, 500)}, {"m/embedding", array_of(values, all)},
      {"m/tied", array_of(values, matrix)},         {"m/column", array_of(values, column, steps, 7)},
      {"m/apart", array_of(apart, eight)},
  };
  const auto check_values = [&](const std::vector<View>& views) {
    CHECK(views[0].as<float>()[0] == 500.0f);
    CHECK(views[1].as<float>()[999] == 999.0f);
    CHECK(views[2].as<float>()[123] == 123.0f);
    CHECK(views[2].shape()[0] == 10);
    CHECK(views[3].select(0, 3).as<float>()[0] == 307.0f);
    CHECK(views[4].as<float>()[7] == -1.0f);
  };

  SECTION("kept") {
    const std::vector<View> views = store.put_many(items, {}, Overlap::kKeep);
    check_values(views);
    CHECK(store.client_stats().bytes_copied_in == 4'000 + 32);
    CHECK(store.stats().used_bytes < 4'500);
    CHECK(views[0].data() == views[1].data() + 2'000);
    CHECK(views[2].data() == views[1].data());
    CHECK(views[3].data() == views[1].data() + 28);
    CHECK(views[3].strides()[0] == 100);
  }
  SECTION("separate") {
    const std::vector<View> views = store.put_many(items);
    check_values(views);
    CHECK(store.client_stats().bytes_copied_in == 2'000 + 4'000 + 4'000 + 40 + 32);
    CHECK(views[2].data() != views[1].data());
    CHECK(views[3].strides()[0] == 1);
  }
  SECTION("live: a write to one is seen through the others, in another process, with one version") {
    const std::vector<View> views = store.put_many(items, {.kind = Kind::kLive}, Overlap::kKeep);
    check_values(views);
    const int status = in_child([&] {
      const Store other = daemon.connect();
      const View upper = other.attach("m/upper", Mode::kReadWrite);
      const auto writing = upper.writing();
      upper.as_mutable<float>()[2] = 42.0f;
      return 0;
    });
    CHECK(status == 0);
    CHECK(views[1].as<float>()[502] == 42.0f);
    CHECK(views[2].as<float>()[502] == 42.0f);
    CHECK(views[0].version() == 1);
    CHECK(views[1].version() == 1);
    CHECK(views[3].version() == 1);
    CHECK(views[4].version() == 0);
    std::vector<float> copy(1'000);
    CHECK(store.attach("m/embedding").read(std::span(copy)) == 1);
    CHECK(copy[502] == 42.0f);
  }
}

TEST_CASE("memory that tensors share stays until the last of them and the last view are gone",
          "[many][shared]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<float> values(1'000, 3.0f);
  const std::vector<std::int64_t> shape{1'000};
  const std::vector<PutItem> items = {{"m/a", array_of(values, shape)}, {"m/b", array_of(values, shape)}};
  store.put_many(items, {}, Overlap::kKeep);
  const std::uint64_t used = store.stats().used_bytes;
  CHECK(used < 5'000);

  View view = store.attach("m/a");
  store.remove("m/a");
  // The bytes are not dying: another tensor lives there.
  CHECK(store.stats().dying_tensors == 1);
  CHECK(store.stats().dying_bytes == 0);
  store.remove("m/b");
  CHECK(eventually([&] { return store.stats().dying_tensors == 1; }));
  CHECK(store.stats().dying_bytes == used);
  CHECK(store.stats().used_bytes == used);
  store.put_many(std::vector<PutItem>{{"m/new", array_of(std::vector<float>(1'000, 5.0f), shape)}});
  CHECK(view.as<float>()[999] == 3.0f);
  view.reset();
  store.remove("m/new");
  CHECK(nothing_left(store));
}

TEST_CASE("an array that overlaps and cannot lie in the store as it is is refused by name",
          "[many][shared]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<float> values(10, 1.0f);
  const std::vector<std::int64_t> shape{10}, backwards{-1}, broadcast{0};
  const std::vector<PutItem> reversed = {{"m/a", array_of(values, shape)},
                                         {"m/flipped", array_of(values, shape, backwards, 9)}};
  CHECK_THROWS_AS(store.put_many(reversed, {}, Overlap::kKeep), InvalidArgumentError);
  CHECK_THROWS_WITH(store.put_many(reversed, {}, Overlap::kKeep), contains_text("'m/flipped'"));
  const std::vector<PutItem> expanded = {{"m/a", array_of(values, shape)},
                                         {"m/wide", array_of(values, shape, broadcast)}};
  CHECK_THROWS_WITH(store.put_many(expanded, {}, Overlap::kKeep), contains_text("'m/wide'"));
  CHECK(store.names().empty());
  // Alone, or apart, they are put as put() does.
  CHECK(store.put_many(reversed, {})[1].as<float>()[0] == 1.0f);
  CHECK(store.put_many(std::span(expanded).last(1), {}, Overlap::kKeep)[0].as<float>()[9] == 1.0f);
}

TEST_CASE("elements that are aligned in memory are aligned in the room that they share", "[many][shared]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  alignas(16) std::byte memory[64] = {};
  const float value = 2.5f;
  std::memcpy(memory + 12, &value, sizeof value);
  // The lowest array begins at an odd address, so the room begins before it.
  const std::vector<std::int64_t> bytes{40}, floats{4};
  const std::vector<PutItem> items = {{"m/bytes", {kUInt8, bytes, {}, memory + 3}},
                                      {"m/floats", {kFloat32, floats, {}, memory + 4}}};
  for (const Kind kind : {Kind::kSealed, Kind::kLive}) {
    const std::vector<View> views = store.put_many(items, {.replace = true, .kind = kind}, Overlap::kKeep);
    CHECK(reinterpret_cast<std::uintptr_t>(views[1].data()) % alignof(float) == 0);
    CHECK(views[1].data() == views[0].data() + 1);
    CHECK(views[1].as<float>()[2] == value);
    CHECK(std::memcmp(views[0].data(), memory + 3, 40) == 0);
  }
}

TEST_CASE("tensors of two namespaces share no memory", "[many][shared]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<float> values(10, 1.0f);
  const std::vector<std::int64_t> shape{10};
  const std::vector<PutItem> items = {{"a/x", array_of(values, shape)}, {"b/x", array_of(values, shape)}};
  CHECK_THROWS_WITH(store.put_many(items, {}, Overlap::kKeep), contains_text("one namespace"));
  CHECK(nothing_left(store));
  CHECK(store.put_many(items).size() == 2);
}
