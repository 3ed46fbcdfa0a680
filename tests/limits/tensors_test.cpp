// A million tensors in one store.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "figures.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::say_bytes;
using tensord::test::status_bytes;
using tensord::test::timed;

namespace {

constexpr std::uint32_t kTensors = 1'000'000;
constexpr std::uint32_t kSingly = 100'000;  // the others in batches
constexpr std::uint32_t kBatch = 1'000;
static_assert(kTensors % kBatch == 0 && kSingly % kBatch == 0);

std::string name_of(std::uint32_t i) {
  char name[32];
  std::snprintf(name, sizeof name, "run%02u/layer.%06u", i / kBatch % 16, i);
  return name;
}

void put_batch(const Store& store, std::uint32_t first) {
  const std::vector<std::int64_t> shape{2};
  std::vector<std::string> names;
  std::vector<std::uint32_t> values;
  for (std::uint32_t i = first; i < first + kBatch; ++i) {
    names.push_back(name_of(i));
    values.insert(values.end(), {i, ~i});
  }
  std::vector<PutItem> items;
  for (std::uint32_t i = 0; i < kBatch; ++i)
    items.push_back({names[i], {kUInt32, shape, {}, &values[2 * i]}});
  store.put_many(items);
}

}  // namespace

TEST_CASE("a million tensors are put, found at random, listed and deleted", "[limits]") {
  // What they take, with as much to spare.
  if (test::available_bytes() < std::uint64_t{4} << 30) {
    std::puts("skipped: a million tensors want 4 GiB of available memory");
    return;
  }
  const DaemonProcess daemon({"--max-tensors", std::to_string(kTensors), "--max-bytes", "2GiB"});
  const Store store = daemon.connect();
  const std::uint64_t anon_before = status_bytes(daemon.pid(), "RssAnon");
  timed("put, one by one", kSingly, [&] {
    for (std::uint32_t i = 0; i < kSingly; ++i) {
      store.put<std::uint32_t>(name_of(i), std::vector<std::uint32_t>{i, ~i});
    }
  });
  timed("put, a thousand at once", kTensors - kSingly, [&] {
    for (std::uint32_t first = kSingly; first < kTensors; first += kBatch) put_batch(store, first);
  });
  const StoreStats stats = store.stats();
  CHECK(stats.tensors == kTensors);
  CHECK(stats.max_tensors == kTensors);
  CHECK_THROWS_WITH(store.put<float>("one/more", std::vector<float>{1}),
                    contains_text("1000000") && contains_text("--max-tensors"));
  say_bytes("the daemon's own memory", status_bytes(daemon.pid(), "RssAnon") - anon_before);
  say_bytes("the catalog, as it has it mapped", status_bytes(daemon.pid(), "RssShmem"));
  say_bytes("elements, with alignment", stats.used_bytes);

  const Store other = daemon.connect();
  std::mt19937 random(20261125);
  constexpr std::uint32_t kAttaches = 1'000'000;
  std::vector<std::uint32_t> order(kAttaches);
  std::generate(order.begin(), order.end(), [&] { return static_cast<std::uint32_t>(random() % kTensors); });
  std::uint32_t wrong = 0;
  timed("attach at random, look, detach", kAttaches, [&] {
    for (const std::uint32_t i : order) {
      const View view = other.attach(name_of(i));
      const auto values = view.as<std::uint32_t>();
      wrong += values[0] != i || values[1] != ~i;
    }
  });
  CHECK(wrong == 0);
  std::vector<View> held;
  timed("attach all, and hold them", kTensors, [&] {
    held.reserve(kTensors);
    for (std::uint32_t i = 0; i < kTensors; ++i) held.push_back(other.attach(name_of(i)));
  });
  timed("detach all", kTensors, [&] { held.clear(); });
  std::vector<std::string> names;
  timed("list all", kTensors, [&] { names = other.names(); });
  CHECK(names.size() == kTensors);
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(other.names("run03/").size() == kBatch * 63);  // of a thousand batches in sixteen namespaces
  timed("delete all", kTensors, [&] {
    for (const std::string& name : names) other.remove(name);
  });
  CHECK(eventually([&] { return store.stats().used_bytes == 0; }));
  CHECK(store.stats().tensors == 0);
  store.put<float>("one/more", std::vector<float>{1});
}

TEST_CASE("a store may be told to have room for 16 million tensors", "[limits]") {
  const DaemonProcess daemon({"--max-tensors", "16777216"});
  const Store store = daemon.connect();
  store.put<float>("a/x", std::vector<float>{1});
  CHECK(store.attach("a/x").as<float>()[0] == 1);
  CHECK(store.stats().max_tensors == 16'777'216);
}
