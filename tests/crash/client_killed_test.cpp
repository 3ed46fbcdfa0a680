// Clients that die by SIGKILL, at every point where they hold something: a ledger, a pin, a grant, a
// tensor half built, a request under way. The property: once the kernel has closed a dead client's
// socket, the store is what the living made it. A leak of a single pin, slot or byte shows up,
// because at the end everything is deleted and the store's figures must be exactly zero; a pin
// released too early shows up, because the survivor's view is checked for its own bytes throughout.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/crash_point.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;

namespace {

constexpr const char* kPoints[] = {"connect.done",    "request.sent", "build.created",  "put.filling",
                                   "publish.pinned",  "publish.done", "attach.granted", "attach.pinned",
                                   "detach.unpinned", "spare.pinned", "spare.published"};
// Those of a batch; the last two come after its publication.
constexpr const char* kBatchPoints[] = {"row.under_way", "batch.created",        "batch.filling",
                                        "batch.pinned",  "batch.part_published", "batch.published"};

std::vector<std::int32_t> pattern(std::int32_t seed, std::size_t length) {
  std::vector<std::int32_t> values(length);
  for (std::size_t i = 0; i < length; ++i) values[i] = seed + static_cast<std::int32_t>(i);
  return values;
}

bool holds(const View& view, std::int32_t seed) {
  const auto values = view.as<std::int32_t>();
  return std::equal(values.begin(), values.end(), pattern(seed, values.size()).begin());
}

// What a client does all day, with everything that can be held at once, until it is killed.
void work(const std::string& socket, const std::string& own, std::mt19937& random) {
  const Store store = Store::connect({socket, false});
  const std::size_t length = 1 + random() % 40'000;
  std::vector<View> held;
  for (int i = 0;; ++i) {
    held.push_back(store.attach("shared/base"));
    // Some of one sort in a row, so that spares are used, too.
    const auto kind = i / 4 % 2 == 0 ? Kind::kSealed : Kind::kLive;
    held.push_back(store.put<std::int32_t>(own, pattern(i, length), {.replace = true, .kind = kind}));
    auto builder = store.build(own + "-half", kInt32, std::vector<std::int64_t>{17});
    held.push_back(store.attach(own));
    if (held.size() > 18) held.erase(held.begin(), held.begin() + 6);
    if (i % 3 == 2) store.remove(own);
  }
}

}  // namespace

TEST_CASE("clients killed at any named point, a thousand times, leave nothing behind", "[crash]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const auto base = pattern(7, 5'000);
  View kept = store.put<std::int32_t>("shared/base", base);
  const std::uint64_t used_before = store.stats().used_bytes;

  constexpr int kRounds = 1'080;
  std::mt19937 random(20261124);
  int killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    const char* point = kPoints[round % std::size(kPoints)];
    const int count = 1 + static_cast<int>(random() % 6);
    const auto seed = random();
    const int status = in_child([&] {
      std::mt19937 child_random(static_cast<std::uint32_t>(seed));
      // Two of the points are passed once in a client's life.
      const bool once = point == std::string("connect.done") || point == std::string("attach.granted");
      os::arm_crash_point(point, once ? 1 : count);
      work(daemon.socket(), "victim/" + std::to_string(round % 7), child_random);
      return 0;
    });
    INFO("round " << round << ", point " << point << ", count " << count);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
    ++killed;
    REQUIRE(holds(kept, 7));
    if (round % 20 == 0) {
      // A survivor's delete under the dead client's pins.
      store.put<std::int32_t>("shared/base", base, {.replace = true});
      kept = store.attach("shared/base");
    }
  }
  CHECK(killed == kRounds);
  // Every fork froze this process's own ledger as well: let go of the connection from before the last.
  kept = store.attach("shared/base");

  for (const std::string& name : store.names("victim/")) store.remove(name);
  const bool all_came_back = eventually([&] {
    const StoreStats stats = store.stats();
    return stats.building_tensors == 0 && stats.dying_tensors == 0 && stats.connections == 1 &&
           stats.used_bytes == used_before && stats.tensors == 1;
  });
  const StoreStats stats = store.stats();
  INFO("building " << stats.building_tensors << ", dying " << stats.dying_tensors << ", connections "
                   << stats.connections << ", used " << stats.used_bytes << " of " << used_before);
  CHECK(all_came_back);
  store.remove("shared/base");
  kept.reset();
  CHECK(eventually([&] { return store.stats().used_bytes == 0; }));
  CHECK(daemon.running());
}

TEST_CASE("a client killed in the middle of a batch leaves all of the last whole one", "[crash]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  // More than one message of PublishMany, and two that share memory.
  constexpr std::size_t kTensors = 300, kLength = 16;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kTensors; ++i) names.push_back("batch/" + std::to_string(i));
  const std::vector<std::string_view> all(names.begin(), names.end());
  const std::vector<std::int64_t> shape{kLength};
  const auto put = [&](const Store& mine, std::int32_t version) {
    const std::vector<std::int32_t> values(kTensors * kLength, version);
    std::vector<PutItem> items;
    for (std::size_t i = 0; i < kTensors; ++i) {
      const std::size_t at = i == 1 ? kLength / 2 : i * kLength;
      items.push_back({names[i], {kInt32, shape, {}, &values[at]}});
    }
    mine.put_many(items, {.replace = true, .kind = Kind::kLive}, Overlap::kKeep);
  };
  put(store, 0);
  const std::uint64_t used_before = store.stats().used_bytes;

  std::mt19937 random(20261125);
  std::int32_t newest = 0;
  for (int round = 0; round < 120; ++round) {
    const char* const point = kBatchPoints[round % std::size(kBatchPoints)];
    const int count = 1 + static_cast<int>(random() % 12);
    INFO("round " << round << ", point " << point << ", count " << count);
    const int status = in_child([&] {
      os::arm_crash_point(point, count);
      const Store mine = Store::connect({daemon.socket(), false});
      for (std::int32_t version = newest + 1;; ++version) put(mine, version);
      return 0;
    });
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);

    const std::vector<View> views = store.attach_many(all);
    const std::int32_t version = views[0].as<std::int32_t>()[0];
    CHECK(version >= newest);
    newest = version;
    for (const View& view : views) {
      for (const std::int32_t value : view.as<std::int32_t>()) REQUIRE(value == version);
    }
  }
  CHECK(newest > 0);
  CHECK(eventually([&] {
    const StoreStats stats = store.stats();
    return stats.building_tensors == 0 && stats.dying_tensors == 0 && stats.used_bytes == used_before &&
           stats.connections == 1;
  }));
  for (const std::string& name : names) store.remove(name);
  CHECK(eventually([&] { return store.stats().used_bytes == 0; }));
}

TEST_CASE("clients killed from outside, wherever they happen to be, leave nothing behind", "[crash]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<std::int32_t>("shared/base", pattern(7, 5'000));
  std::mt19937 random(42);
  for (int round = 0; round < 60; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::mt19937 child_random(static_cast<std::uint32_t>(round));
      try {
        work(daemon.socket(), "victim/" + std::to_string(round % 3), child_random);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "in a child: %s\n", error.what());
      }
      ::_exit(1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 20'000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
  }
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] {
    const StoreStats stats = store.stats();
    return stats.used_bytes == 0 && stats.dying_tensors == 0 && stats.building_tensors == 0 &&
           stats.connections == 1;
  }));
}

TEST_CASE("a tensor bound to its client goes when the client is killed", "[crash]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const int status = in_child([&] {
    const Store victim = Store::connect({daemon.socket(), false});
    victim.put<std::int32_t>("bound/x", pattern(1, 100), {.lifetime = Lifetime::kClient});
    victim.put<std::int32_t>("bound/y", pattern(2, 100));
    return ::raise(SIGKILL);
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(eventually([&] { return !store.contains("bound/x"); }));
  CHECK(store.contains("bound/y"));
}
