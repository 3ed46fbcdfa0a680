// Puts in a row are one request each: the daemon grants the next one's memory ahead. Nobody is to notice.
#include <atomic>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "values.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::holds;

namespace {

std::vector<std::int32_t> counting_from(std::int32_t first, std::size_t count = 1'024) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::string name_of(int i) { return "a/" + std::to_string(i); }

// How many tensors of 4 KiB fit before there is no space left.
template <class Make>
int fill(const DaemonProcess& daemon, Make&& make) {
  const Store store = daemon.connect();
  for (int i = 0;; ++i) {
    try {
      make(store, i);
    } catch (const OutOfSpaceError&) {
      return i;
    }
  }
}

}  // namespace

TEST_CASE("from the third on, a put in a row of puts of one size is one request", "[client][spare]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 2; ++i) store.put<std::int32_t>(name_of(i), counting_from(i));
  std::vector<View> views;
  for (int i = 2; i < 50; ++i) {
    const std::uint64_t before = store.client_stats().requests;
    views.push_back(store.put<std::int32_t>(name_of(i), counting_from(i)));
    CHECK(store.client_stats().requests == before + 1);
  }
  for (int i = 2; i < 50; ++i) {
    CHECK(holds(views[static_cast<std::size_t>(i) - 2], counting_from(i)));
    CHECK(holds(daemon.connect().attach(name_of(i)), counting_from(i)));
  }
}

TEST_CASE("a spare takes any tensor of its size: other shapes, dtypes and lifetimes", "[client][spare]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  {
    const Store other = daemon.connect();
    for (int i = 0; i < 3; ++i) other.put<std::int32_t>(name_of(i), counting_from(i));
    const std::uint64_t before = other.client_stats().requests;
    other.put<double>("a/double", std::vector<double>(512, 1.5), {.lifetime = Lifetime::kClient});
    CHECK(other.client_stats().requests == before + 1);
    const View view = store.attach("a/double");
    CHECK(view.dtype() == kFloat64);
    CHECK(view.shape().size() == 1);
    CHECK(view.shape()[0] == 512);
    CHECK(view.as<double>()[511] == 1.5);
    CHECK(store.info("a/double").lifetime == Lifetime::kClient);
  }
  CHECK(eventually([&] { return !store.contains("a/double"); }));
  CHECK(store.contains("a/2"));
}

TEST_CASE("a live tensor that was a spare begins with version zero", "[client][spare]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 6; ++i) {
    View view = store.put<std::int32_t>("a/live", counting_from(i), {.replace = true, .kind = Kind::kLive});
    CHECK(view.version() == 0);
    for (int turn = 0; turn < 3; ++turn) view.writing().end();
    CHECK(holds(view, counting_from(i)));
  }
}

TEST_CASE("a put that is refused keeps its spare for the next", "[client][spare]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 3; ++i) store.put<std::int32_t>(name_of(i), counting_from(i));
  CHECK_THROWS_AS(store.put<std::int32_t>(name_of(0), counting_from(100)), AlreadyExistsError);
  CHECK_THROWS_AS(store.put<std::int32_t>("not//a name", counting_from(100)), InvalidArgumentError);
  CHECK(holds(store.attach(name_of(0)), counting_from(0)));
  const std::uint64_t before = store.client_stats().requests;
  CHECK(holds(store.put<std::int32_t>(name_of(3), counting_from(3)), counting_from(3)));
  CHECK(store.client_stats().requests == before + 1);
}

TEST_CASE("spares count as nobody's memory, and cost nobody any", "[client][spare]") {
  const std::vector<std::string> small{"--max-bytes", "1MiB"};
  const auto values = counting_from(0);
  const std::int64_t length = 1'024;
  const int by_put = fill(DaemonProcess(small), [&](const Store& store, int i) {
    store.put<std::int32_t>(name_of(i), values);
    CHECK(store.stats().used_bytes == (static_cast<std::uint64_t>(i) + 1) * 4'096);
    CHECK(store.stats().building_tensors == 0);
  });
  const int by_build = fill(DaemonProcess(small), [&](const Store& store, int i) {
    store.build(name_of(i), kInt32, {&length, 1}).publish();
  });
  CHECK(by_put == by_build);
}

TEST_CASE("what somebody else needs is taken from spares", "[client][spare]") {
  const DaemonProcess daemon({"--max-bytes", "1MiB", "--max-tensors", "64"});
  const Store hoarder = daemon.connect();
  for (int i = 0; i < 3; ++i) hoarder.put<std::int32_t>("shared/" + std::to_string(i), counting_from(i));
  const Store other = daemon.connect();
  const std::int64_t length = 1'024;
  for (int i = 3; i < 64; ++i) other.build("shared/" + std::to_string(i), kInt32, {&length, 1}).publish();
  CHECK(other.stats().tensors == 64);
  // The hoarder's next put finds its spare gone, and says what anybody would be told.
  CHECK_THROWS_AS(hoarder.put<std::int32_t>("shared/64", counting_from(64)), OutOfSpaceError);
  other.remove("shared/63");
  CHECK(holds(hoarder.put<std::int32_t>("shared/64", counting_from(64)), counting_from(64)));
}

TEST_CASE("a spare that is left alone goes back, and its memory with it", "[client][spare]") {
  const DaemonProcess daemon({"--keep-warm", "0"});
  const Store store = daemon.connect();
  for (int i = 0; i < 3; ++i) store.put<std::int32_t>(name_of(i), counting_from(i));
  for (int i = 0; i < 3; ++i) store.remove(name_of(i));
  CHECK(store.stats().used_bytes == 0);
  CHECK(eventually([&] { return store.stats().reserved_bytes == 0; }));
  CHECK(holds(store.put<std::int32_t>(name_of(9), counting_from(9)), counting_from(9)));
}

TEST_CASE("threads and clients that take each other's spares away lose no byte", "[client][spare][threads]") {
  // Four slots are for the names, and less than one each for what is being put.
  const DaemonProcess daemon({"--max-tensors", "7"});
  constexpr int kWriters = 4, kPuts = 2'000;
  const Store shared = daemon.connect();
  std::atomic<int> wrong{0}, put{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      const Store store = w % 2 == 0 ? shared : daemon.connect();
      const std::string name = "a/" + std::to_string(w);
      for (int i = 0; i < kPuts; ++i) {
        const auto values = counting_from(w * kPuts + i);
        try {
          const View view = store.put<std::int32_t>(name, values, {.replace = true});
          if (!holds(view, values)) ++wrong;
          ++put;
        } catch (const OutOfSpaceError&) {
          // No slot just now.
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(wrong == 0);
  CHECK(put > kPuts);
  for (const std::string& name : shared.names()) shared.remove(name);
  CHECK(eventually([&] { return shared.stats().used_bytes == 0 && shared.stats().dying_tensors == 0; }));
}
