// Is everybody woken who sleeps until a live tensor changes, though writers wake only those who have said so?
//
// The property: who saw `awaited` set after he saw the word sleeps no longer than until its next change.
//
// Why this test would see a violation: sleeps have no end here but a wake-up, and a writer goes on only when
// all sleepers have seen what he wrote last. So one lost wake-up stops everybody, until the sleep gives up
// after seconds, and is counted. Writers stop waking by themselves after some wakes for nobody, which the
// sleepers bring about by spinning at times; and the word is set by another thread that is told of it, as by
// a daemon. tests/models/awaited.pml has every interleaving.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "client/live.hpp"
#include "os/cpu.hpp"
#include "os/futex.hpp"
#include "shm/live_header.hpp"

using namespace tensord;

namespace {

constexpr std::uint32_t kChanges = 4'000, kSleepers = 2;
constexpr std::chrono::seconds kLost{20};

struct Shared {
  shm::LiveHeader header{};
  std::atomic<bool> hint{false};
  std::atomic<std::uint32_t> seen[kSleepers]{};
  std::atomic<std::uint64_t> sleeps{0}, lost{0};
};

void sleep_until_changed(Shared& shared, shm::LiveWord seen) {
  if (!shared.header.is_awaited()) shared.hint.store(true);
  while (shared.header.load() == seen && !shared.header.is_awaited()) os::relax();
  if (shared.header.load() != seen || !shared.header.is_awaited()) return;
  shared.sleeps.fetch_add(1);
  const auto outcome = os::futex_wait(shared.header.futex(), seen.sequence, kLost);
  if (outcome == os::FutexWait::kTimedOut) shared.lost.fetch_add(1);
}

// Always, now and then, always, never: each for long enough that writers grow tired of waking nobody.
bool sleeps(std::uint32_t sequence, std::uint32_t random) {
  static_assert(200 > 2 * shm::kMaxIdleWakes);
  const std::uint32_t phase = sequence / 400 % 4;
  return phase % 2 == 0 || (phase == 1 && random % 64 == 0);
}

void follow(Shared& shared, std::uint32_t me) {
  std::mt19937 random(me + 1);
  for (std::uint32_t last = 0; last < 2 * kChanges;) {
    const shm::LiveWord word = shared.header.load();
    if (word.sequence != last && word.whole()) {
      last = word.sequence;
      shared.seen[me].store(last);
    } else if (sleeps(last, static_cast<std::uint32_t>(random()))) {
      sleep_until_changed(shared, word);
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

TEST_CASE("no sleeper misses a change of a live tensor", "[live][concurrency]") {
  Shared shared;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::uint32_t me = 0; me < kSleepers; ++me) threads.emplace_back([&, me] { follow(shared, me); });
  std::thread daemon([&] {
    while (!stop.load()) {
      if (shared.hint.exchange(false)) shared.header.set_awaited();
      std::this_thread::yield();
    }
  });
  std::uint32_t calm = 0;
  for (std::uint32_t change = 0; change < kChanges; ++change) {
    const shm::LiveWord word = shared.header.load();
    REQUIRE(shared.header.begin(word, 1));
    client::end_writing(shared.header, shm::LiveHeader::held_after(word, 1));
    for (const auto& seen : shared.seen) {
      while (seen.load() != 2 * (change + 1)) std::this_thread::yield();
    }
    calm += shared.header.is_awaited() ? 0 : 1;
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  daemon.join();
  CHECK(shared.lost == 0);
  CHECK(shared.sleeps > 0);
  CHECK(calm > 0);
}
