// Of a pin and a mark at the same moment, does at least one see the other?
//
//   client: counter += 1, then load word         daemon: word = Dying, then load counter
//
// If neither saw the other, the client would read what the daemon gives away. No value that anybody
// computes goes wrong, only the order in which two processors' stores arrive; x86 keeps a store back
// behind a later load of the same processor, unless the store is a locked instruction. So this
// is the classic store-buffer experiment, over the real Ledger and Slot: both threads meet at a
// barrier, act at once, and compare notes. The broken pin beside it, an ordinary store, shows how often
// the processor does reorder here. That count may be zero (one processor, or ThreadSanitizer, whose
// own work between the two drains the buffer), so it is printed and not required.
// tests/models/pin.pml shows the same without luck: mutants PLAIN_PIN and PLAIN_MARK.
#include "catch.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "shm/ledger.hpp"
#include "shm/slot.hpp"
#include "zeroed_memory.hpp"

using namespace tensord::shm;
using tensord::test::ZeroedMemory;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr std::uint32_t kRounds = 5'000;  // it runs slowly, and never reorders
#else
constexpr std::uint32_t kRounds = 100'000;
#endif
constexpr std::uint32_t kSlots = kCountersPerChunk;

// Two threads wait here for one another, as briefly as possible, so that they leave together.
class Barrier {
 public:
  void wait() {
    const std::uint32_t phase = phase_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) == 1) {
      waiting_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  }

 private:
  alignas(64) std::atomic<std::uint32_t> waiting_{0};
  alignas(64) std::atomic<std::uint32_t> phase_{0};
};

void linger(std::uint32_t rounds) {
  for (std::uint32_t i = 0; i < rounds; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Keeps a thread on the n-th processor it may use: on one processor two threads never meet.
class OnProcessor {
 public:
  explicit OnProcessor(int n) {
    sched_getaffinity(0, sizeof before_, &before_);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_) || n-- != 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
    }
  }
  OnProcessor(const OnProcessor&) = delete;
  OnProcessor& operator=(const OnProcessor&) = delete;
  ~OnProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

struct Sightings {
  std::uint32_t client_saw_mark = 0;
  std::uint32_t daemon_saw_pin = 0;
  std::uint32_t both = 0;
  std::uint32_t neither = 0;
};

// pin(ledger, touched, counter) is the client's half before it loads the word.
template <class Pin>
Sightings meet(Pin&& pin) {
  ZeroedMemory memory(ledger_size_bytes(kSlots));
  format_ledger(memory.bytes(), kSlots);
  Ledger ledger = Ledger::open(memory.bytes(), kSlots).value();
  const LedgerScanner scanner(memory.bytes(), kSlots);
  auto& touched = reinterpret_cast<LedgerHeader*>(memory.bytes().data())->touched[0];
  auto* counters =
      reinterpret_cast<std::atomic<std::uint32_t>*>(memory.bytes().data() + kLedgerCountersOffset);
  const auto slot = std::make_unique<Slot>();

  std::vector<std::uint8_t> client_saw(kRounds), daemon_saw(kRounds);
  Barrier barrier;
  std::thread client([&] {
    const OnProcessor second(1);
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      barrier.wait();
      linger(round * 7 % 32);
      pin(ledger, touched, counters[0]);
      client_saw[round] = slot->load_word().state() != SlotState::kPublished;
      barrier.wait();
    }
  });
  // Whoever leaves the barrier last may come late every time, and then the two never meet. So the
  // daemon waits longer whenever it was too early, and less when it was too late.
  const OnProcessor first(0);
  std::uint32_t delay = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    slot->store_word(SlotWord::of(round, SlotState::kPublished));
    counters[0].store(0);
    if (round % 2 == 0) touched.store(0);  // every other pin is the first in its chunk
    barrier.wait();
    linger(delay + round * 13 % 32);
    slot->store_word(SlotWord::of(round, SlotState::kDying));
    daemon_saw[round] = scanner.pins(0);
    barrier.wait();
    if (daemon_saw[round] == 0) delay = std::min(delay + 4, 4096u);
    if (client_saw[round] == 0) delay = delay < 4 ? 0 : delay - 4;
  }
  client.join();

  Sightings sightings;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const bool mark = client_saw[round] != 0, pinned = daemon_saw[round] != 0;
    ++(mark && pinned ? sightings.both
       : mark         ? sightings.client_saw_mark
       : pinned       ? sightings.daemon_saw_pin
                      : sightings.neither);
  }
  return sightings;
}

std::string to_string(const Sightings& seen) {
  return std::to_string(kRounds) + " rounds: only the client saw the other " +
         std::to_string(seen.client_saw_mark) + ", only the daemon " + std::to_string(seen.daemon_saw_pin) +
         ", both " + std::to_string(seen.both) + ", neither " + std::to_string(seen.neither);
}

}  // namespace

TEST_CASE("of a pin and a mark at the same moment at least one sees the other", "[concurrency]") {
  const Sightings right =
      meet([](Ledger& ledger, std::atomic<std::uint64_t>&, std::atomic<std::uint32_t>&) { ledger.pin(0); });
  CHECK(right.neither == 0);

  const Sightings broken =
      meet([](Ledger&, std::atomic<std::uint64_t>& touched, std::atomic<std::uint32_t>& counter) {
        if (touched.load(std::memory_order_relaxed) == 0) touched.store(1, std::memory_order_relaxed);
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      });
  WARN("Ledger::pin: " << to_string(right) << "\nan ordinary store: " << to_string(broken));
}
