// One Store, many threads: attach takes no lock, requests wait for one another.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;

TEST_CASE("threads share a store: readers always see whole tensors while writers replace them",
          "[client][threads]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  constexpr int kTensors = 4;
  const auto name_of = [](int i) { return "t/" + std::to_string(i); };
  for (int i = 0; i < kTensors; ++i) store.put<std::int32_t>(name_of(i), std::vector<std::int32_t>(300, 0));

  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::atomic<long> reads{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; !stop; ++i) {
        const View view = store.attach(name_of(i % kTensors));
        const auto values = view.as<std::int32_t>();
        // Each version of a tensor holds one number, throughout.
        for (const std::int32_t value : values) torn += value != values[0];
        ++reads;
      }
    });
  }
  for (int version = 1; version <= 400; ++version) {
    for (int i = 0; i < kTensors; ++i) {
      store.put<std::int32_t>(name_of(i), std::vector<std::int32_t>(300, version), {.replace = true});
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(reads > 0);
  for (int i = 0; i < kTensors; ++i) store.remove(name_of(i));
  CHECK(eventually([&] { return store.stats().used_bytes == 0; }));
}
