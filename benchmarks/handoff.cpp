// How long after a producer has something does a consumer in another process have it?
//
// Either the consumer has slept for a while, or it has begun to wait a moment ago, within the time for which
// waiters look before they sleep. The first costs a wake-up by the kernel, the second a cache line that goes
// from one core to the other; both are measured bare, too.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <tensord/tensord.hpp>

#include "copies.hpp"
#include "daemon_process.hpp"
#include "measure.hpp"
#include "os/futex.hpp"
#include "partner.hpp"

namespace {

using namespace tensord;
using bench::kKiB, bench::kMiB;
using bench::Role;

constexpr std::chrono::milliseconds kPause{2};
constexpr std::size_t kLargest = 64 * kMiB;

enum class Reader { kAsleep, kSoon };

// What a hand-off without names, types or a daemon needs: memory that both map, and a word.
struct Words {
  alignas(64) std::atomic<std::uint32_t> given{0};
  alignas(64) std::atomic<std::uint32_t> returned{0};
};

void await(const std::atomic<std::uint32_t>& word, std::uint32_t turn, Reader reader) {
  while (word.load(std::memory_order_acquire) != turn) {
    if (reader == Reader::kAsleep) {
      os::futex_wait(&word, turn - 1, std::chrono::seconds(1));
    } else {
      __builtin_ia32_pause();
    }
  }
}

const char* in_words(Reader reader) {
  return reader == Reader::kAsleep ? ", reader asleep" : ", reader spins";
}

// ---- one tensor ------------------------------------------------------------------------------------

void measure_handoff(const test::DaemonProcess& daemon, Reader reader, std::size_t size_bytes, int rounds) {
  bench::WarmMemory memory(size_bytes);
  std::byte* const shared = memory.next();
  const bench::Shared<Words> words;
  bench::Partner consumer([&] {
    auto store = std::make_shared<Store>(daemon.connect());
    auto own = std::make_shared<std::vector<std::byte>>(size_bytes);
    std::uint32_t turn = 0;
    return [&, store, own, turn](char how) mutable {
      if (how == 't') {
        const View view = store->wait("bench/given");
        std::memcpy(own->data(), view.data(), size_bytes);
      } else {
        await(words->given, ++turn, reader);
        std::memcpy(own->data(), shared, size_bytes);
      }
      return bench::now_ns();
    };
  });
  const Store store = daemon.connect();
  const std::vector<float> source(size_bytes / sizeof(float), 1.5f);
  const auto ready = [&](char how) {
    consumer.tell(how);
    if (reader == Reader::kAsleep) std::this_thread::sleep_for(kPause);
    return bench::now_ns();
  };
  bench::compare("hand-off" + std::string(in_words(reader)), {{"bytes", size_bytes}}, rounds,
                 {{"tensord: put, wait, copy out",
                   Role::kOurs,
                   1,
                   {},
                   [&] { store.remove("bench/given"); },
                   [&] {
                     const std::int64_t begin = ready('t');
                     store.put("bench/given", std::span<const float>(source));
                     return consumer.answer() - begin;
                   }},
                  {"memcpy in, one word, memcpy out", Role::kFloor, 1, {}, {}, [&] {
                     const std::int64_t begin = ready('w');
                     std::memcpy(shared, source.data(), size_bytes);
                     words->given.fetch_add(1);
                     if (reader == Reader::kAsleep) os::futex_wake_all(&words->given);
                     return consumer.answer() - begin;
                   }}});
}

// ---- the wake-up alone: a new version of a live tensor -------------------------------------------

void measure_wake_up(const test::DaemonProcess& daemon) {
  const bench::Shared<Words> words;
  const Store store = daemon.connect();
  const std::vector<float> elements(16, 1.0f);
  const View live = store.put("bench/live", std::span<const float>(elements), {.kind = Kind::kLive});
  bench::Partner consumer([&] {
    auto view = std::make_shared<View>(daemon.connect().attach("bench/live"));
    std::uint32_t turn = 0;
    return [&, view, turn](char how) mutable {
      if (how == 't') {
        view->wait(view->version());
      } else {
        await(words->given, ++turn, Reader::kAsleep);
      }
      return bench::now_ns();
    };
  });
  const View writable = daemon.connect().attach("bench/live", Mode::kReadWrite);
  const auto ready = [&](char how) {
    consumer.tell(how);
    std::this_thread::sleep_for(kPause);
    return bench::now_ns();
  };
  bench::compare("wake-up alone, reader asleep", {}, 101,
                 {{"tensord: a new version of a live tensor",
                   Role::kOurs,
                   1,
                   {},
                   {},
                   [&] {
                     const std::int64_t begin = ready('t');
                     writable.writing().end();
                     return consumer.answer() - begin;
                   }},
                  {"futex", Role::kFloor, 1, {}, {}, [&] {
                     const std::int64_t begin = ready('w');
                     words->given.fetch_add(1);
                     os::futex_wake_all(&words->given);
                     return consumer.answer() - begin;
                   }}});
}

// Back and forth, so that the clock is read once for many; each wait begins within the spin window.
void measure_ping_pong(const test::DaemonProcess& daemon) {
  constexpr std::uint64_t kTurns = 500;
  const bench::Shared<Words> words;
  const Store store = daemon.connect();
  const std::vector<float> elements(16, 1.0f);
  for (const char* name : {"bench/ping", "bench/pong"})
    store.put(name, std::span<const float>(elements), {.kind = Kind::kLive});
  const auto echo = [](const View& in, std::uint64_t version, const View& out) {
    for (std::uint64_t turn = 0; turn < kTurns; ++turn) {
      version = in.wait(version);
      out.writing().end();
    }
  };
  bench::Partner partner([&] {
    const Store own = daemon.connect();
    auto ping = std::make_shared<View>(own.attach("bench/ping"));
    auto pong = std::make_shared<View>(own.attach("bench/pong", Mode::kReadWrite));
    return [&, ping, pong](char how) {
      if (how == 't') {
        const std::uint64_t version = ping->version();
        words->returned.store(1);
        echo(*ping, version, *pong);
      } else {
        for (std::uint32_t turn = 1; turn <= kTurns; ++turn) {
          await(words->given, turn, Reader::kSoon);
          words->returned.store(turn, std::memory_order_release);
        }
      }
      return std::int64_t{0};
    };
  });
  const Store mine = daemon.connect();
  const View ping = mine.attach("bench/ping", Mode::kReadWrite), pong = mine.attach("bench/pong");
  bench::compare("wake-up alone, reader spins", {}, 41,
                 {{"tensord: a new version of a live tensor",
                   Role::kOurs,
                   2 * kTurns,
                   {},
                   {},
                   [&] {
                     words->returned.store(0);
                     partner.tell('t');
                     await(words->returned, 1, Reader::kSoon);
                     const std::uint64_t version = pong.version();
                     const std::int64_t begin = bench::now_ns();
                     ping.writing().end();
                     echo(pong, version, ping);  // its last answer is to nobody
                     const std::int64_t took = bench::now_ns() - begin;
                     partner.answer();
                     return took;
                   }},
                  {"atomic word", Role::kFloor, 2 * kTurns, {}, {}, [&] {
                     words->given.store(0), words->returned.store(0);
                     partner.tell('w');
                     const std::int64_t begin = bench::now_ns();
                     for (std::uint32_t turn = 1; turn <= kTurns; ++turn) {
                       words->given.store(turn, std::memory_order_release);
                       await(words->returned, turn, Reader::kSoon);
                     }
                     const std::int64_t took = bench::now_ns() - begin;
                     partner.answer();
                     return took;
                   }}});
}

void measure_all() {
  const test::DaemonProcess daemon({"--max-bytes", "4GiB"});
  measure_wake_up(daemon);
  measure_ping_pong(daemon);
  for (std::size_t size_bytes : {std::size_t{64}, 4 * kKiB, 64 * kKiB, kMiB, 16 * kMiB, kLargest}) {
    if (bench::small() && size_bytes > kMiB) continue;
    for (const Reader reader : {Reader::kAsleep, Reader::kSoon})
      measure_handoff(daemon, reader, size_bytes, size_bytes == kMiB ? 101 : 21);
  }
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "handoff", measure_all); }
