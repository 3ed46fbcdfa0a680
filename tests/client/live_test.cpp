// Versions of live tensors: whole reads, one writer at a time, waiting.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using namespace std::chrono_literals;
using tensord::test::DaemonProcess;

namespace {

constexpr std::size_t kLength = 2'000;

View put_live(const Store& store, const char* name) {
  return store.put<std::int32_t>(name, std::vector<std::int32_t>(kLength, 0), {.kind = Kind::kLive});
}

}  // namespace

TEST_CASE("each writing makes one version", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View writer = put_live(store, "l/x");
  const View reader = store.attach("l/x");
  CHECK(reader.version() == 0);
  {
    const Writing writing = writer.writing();
    writer.as_mutable<std::int32_t>()[0] = 1;
    CHECK(reader.version() == 0);
  }
  CHECK(reader.version() == 1);
  Writing second = writer.writing();
  second.end();
  second.end();
  CHECK(reader.version() == 2);
  CHECK_THROWS_AS(reader.writing(), PermissionDeniedError);
  CHECK(store.put<float>("l/sealed", std::vector<float>(3)).version() == 0);
  CHECK_THROWS_AS(store.attach("l/sealed").wait(0, 1ms), InvalidArgumentError);
}

TEST_CASE("a new tensor does not inherit the version of the one that lay there before", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 3; ++i) {
    const View view = put_live(store, "l/x");
    CHECK(view.version() == 0);
    { const Writing writing = view.writing(); }
    store.remove("l/x");
  }
}

TEST_CASE("read fills elements of the tensor's own type, and as many as it has", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View sealed = store.put<float>("l/sealed", std::vector<float>{1, 2, 3});
  std::vector<float> values(3);
  CHECK(sealed.read(std::span(values)) == 0);
  CHECK(values == std::vector<float>{1, 2, 3});
  std::vector<float> too_many(4);
  CHECK_THROWS_AS(sealed.read(std::span(too_many)), InvalidArgumentError);
  std::vector<std::int32_t> others(3);
  CHECK_THROWS_WITH(sealed.read(std::span(others)), contains_text("holds float32, not int32"));

  // Of any layout, in C order.
  const std::vector<float> columns{1, 4, 2, 5, 3, 6};
  const std::int64_t shape[] = {2, 3}, strides[] = {1, 2};
  const View turned = store.put("l/turned", Array{kFloat32, shape, strides, columns.data()});
  std::vector<float> rows(6);
  CHECK(turned.read(std::span(rows)) == 0);
  CHECK(rows == std::vector<float>{1, 2, 3, 4, 5, 6});

  const View live = put_live(store, "l/x");
  std::vector<std::int32_t> copy(kLength);
  {
    const Writing writing = live.writing();
    std::ranges::fill(live.as_mutable<std::int32_t>(), 5);
    CHECK_THROWS_AS(live.read(std::span(copy), 5ms), TimeoutError);
  }
  CHECK(live.read(std::span(copy)) == 1);
  CHECK(copy == std::vector<std::int32_t>(kLength, 5));
}

TEST_CASE("of a million reads beside writers, none is of two versions", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  constexpr std::size_t kSmall = 64;
  const View view =
      store.put<std::int32_t>("l/x", std::vector<std::int32_t>(kSmall, 0), {.kind = Kind::kLive});
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&] {
      const View own = store.attach("l/x", Mode::kReadWrite);
      const auto values = own.as_mutable<std::int32_t>();
      while (!stop) {
        {
          const Writing writing = own.writing();
          const std::int32_t next = values[0] + 1;
          for (std::int32_t& value : values) value = next;
        }
        std::this_thread::sleep_for(20us);
      }
    });
  }
  long mixed = 0, backwards = 0;
  std::uint64_t last = 0;
  std::vector<std::int32_t> copy(kSmall);
  constexpr int kReads = 1'000'000;
  for (int i = 0; i < kReads; ++i) {
    const std::uint64_t version = view.read(std::span(copy));
    mixed += std::any_of(copy.begin(), copy.end(), [&](std::int32_t v) { return v != copy[0]; });
    // Every version adds one, so the number that a copy comes with can be checked against its contents.
    mixed += static_cast<std::uint64_t>(copy[0]) != version;
    backwards += version < last;
    last = version;
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  CHECK(mixed == 0);
  CHECK(backwards == 0);
  CHECK(last > 0);
}

TEST_CASE("a waiter wakes for a version, and times out naming what did not happen", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = put_live(store, "l/x");
  CHECK_THROWS_WITH(view.wait(0, 30ms),
                    contains_text("nobody has written the live tensor 'l/x' since version 0"));
  std::thread writer([&] {
    std::this_thread::sleep_for(50ms);
    const Writing writing = view.writing();
  });
  CHECK(store.attach("l/x").wait(0) == 1);
  writer.join();
  CHECK(view.wait(0, 0ms) == 1);
}

TEST_CASE("a second writer waits for the first, and a timeout says who it is", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = put_live(store, "l/x");
  {
    const Writing first = view.writing();
    CHECK_THROWS_WITH(view.writing(30ms),
                      contains_text("still being written by pid " + std::to_string(::getpid())));
    std::vector<std::byte> copy(view.size_bytes());
    CHECK_THROWS_AS(view.clone_to(copy, 30ms), TimeoutError);
  }
  { const Writing second = view.writing(30ms); }
  CHECK(view.version() == 2);
}

TEST_CASE("an exception while writing leaves the tensor torn, until it is repaired", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = put_live(store, "l/x");
  try {
    const Writing writing = view.writing();
    view.as_mutable<std::int32_t>()[0] = 1;
    throw std::runtime_error("in the middle");
  } catch (const std::runtime_error&) {
  }
  std::vector<std::byte> copy(view.size_bytes());
  CHECK_THROWS_AS(view.clone_to(copy), TornWriteError);
  CHECK_THROWS_AS(view.wait(0, 10s), TornWriteError);
  CHECK_THROWS_AS(view.writing(), TornWriteError);
  CHECK_THROWS_WITH(view.writing(), contains_text("repair"));
  {
    const Writing repair = view.writing(kForever, /*repair=*/true);
    std::ranges::fill(view.as_mutable<std::int32_t>(), 7);
  }
  CHECK(view.clone_to(copy) == 1);
}
