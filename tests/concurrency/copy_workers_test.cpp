// Every slice is done once, before share() returns, and what a worker wrote the caller may read: whoever
// shares at the same moment, and whether or not the workers wake up in time. The slices are ordinary memory,
// so ThreadSanitizer sees a worker that is still at work when its caller goes on.
#include "catch.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "client/copy_workers.hpp"

using tensord::client::CopyWorkers;
using Who = CopyWorkers::Who;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr std::uint32_t kRounds = 500;
#else
constexpr std::uint32_t kRounds = 5'000;
#endif

bool shares_all(CopyWorkers& workers, std::size_t slices, std::uint32_t round) {
  std::vector<std::uint32_t> done(slices, round);
  workers.share(slices, [&](std::size_t slice, Who) { done[slice] += 1; });
  for (const std::uint32_t times : done) {
    if (times != round + 1) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("workers do every slice once, before share returns", "[copy_workers]") {
  CopyWorkers workers(3);
  bool good = true;
  for (std::uint32_t round = 0; round < kRounds; ++round)
    good = good && shares_all(workers, round % 9, round);
  CHECK(good);
}

TEST_CASE("threads that share at the same time all get their slices done", "[copy_workers]") {
  CopyWorkers workers(3);
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (std::uint32_t round = 0; round < kRounds; ++round) {
        if (!shares_all(workers, 1 + round % 5, round)) ++bad;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(bad == 0);
}

TEST_CASE("a worker takes part while the caller is in a slice", "[copy_workers]") {
  CopyWorkers workers(2);
  std::atomic<bool> worker_came{false};
  // The caller stays in its slice until the other one is taken, which only a worker can do.
  workers.share(2, [&](std::size_t, Who who) {
    if (who == Who::kWorker) worker_came = true;
    while (!worker_came) std::this_thread::yield();
  });
  CHECK(worker_came);
}

TEST_CASE("one thread means the caller alone", "[copy_workers]") {
  for (const std::size_t threads : {0, 1}) {
    CopyWorkers workers(threads);
    std::size_t slices = 0;
    bool alone = true;
    workers.share(10, [&](std::size_t, Who who) { ++slices, alone = alone && who == Who::kCaller; });
    CHECK(slices == 10);
    CHECK(alone);
  }
}
