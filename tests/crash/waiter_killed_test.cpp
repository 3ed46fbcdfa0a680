// Waiters that die by SIGKILL, at every point of a wait for a name and of a wait for a version: before they
// are known to sleep, while they do, and as they wake. The property: who waits beside them is woken for every
// publication and for every version all the same, no writer and no put waits for a dead man, and in the end
// the store is empty.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/crash_point.hpp"
#include "other_process.hpp"
#include "word.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::Other;
using tensord::test::Word;

namespace {

constexpr const char* kNamePoints[] = {"wait.looked",   "wait.asked",     "wait.sleeping",  "wait.woken",
                                       "attach.pinned", "attach.granted", "detach.unpinned"};
constexpr const char* kVersionPoints[] = {"version.looked", "version.said", "version.sleeping",
                                          "version.woken"};
constexpr int kRounds = 140;
constexpr int kKilled = -1;  // as Other says it

std::string name_of(int round) { return "round/" + std::to_string(round); }

// What a victim of the wait for names does until it dies: one name that comes, then ever one that does not.
int wait_for_names(const DaemonProcess& daemon, int round) {
  const Store mine = daemon.connect();
  mine.wait(name_of(round));
  for (;;) {
    try {
      mine.wait("never/comes", std::chrono::milliseconds(20));
    } catch (const TimeoutError&) {
    }
    static_cast<void>(mine.attach(name_of(round)));
  }
}

bool is_empty(const StoreStats& stats) {
  return stats.used_bytes == 0 && stats.dying_tensors == 0 && stats.building_tensors == 0;
}

}  // namespace

TEST_CASE("waiters for a name killed at any point leave nothing, and those beside them are woken",
          "[crash]") {
  const DaemonProcess daemon;
  const Word heard;
  Other bystander([&] {
    const Store mine = daemon.connect();
    for (int round = 0; round < kRounds; ++round) {
      if (mine.wait(name_of(round)).as<std::int32_t>()[0] != round) return 2;
      heard.say('h');
    }
    return 0;
  });
  std::mt19937 random(20261125);
  for (int round = 0; round < kRounds; ++round) {
    const char* const point = kNamePoints[round % std::size(kNamePoints)];
    const int count = point == std::string("attach.granted") ? 1 : 1 + static_cast<int>(random() % 3);
    INFO("round " << round << ", point " << point << ", count " << count);
    Other victim([&] {
      os::arm_crash_point(point, count);
      return wait_for_names(daemon, round);
    });
    ::usleep(random() % 3'000);
    const int status = [&] {
      // A process of its own: this one forks in every round, and its connection would be a new one each time.
      Other putter([&] {
        daemon.connect().put<std::int32_t>(name_of(round), std::vector<std::int32_t>{round});
        return 0;
      });
      return putter.join();
    }();
    REQUIRE(status == 0);
    REQUIRE(heard.hear() == 'h');
    REQUIRE(victim.join() == kKilled);
  }
  CHECK(bystander.join() == 0);
  const Store store = daemon.connect();
  CHECK(store.stats().tensors == kRounds);
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return is_empty(store.stats()) && store.stats().connections == 1; }));
  CHECK(daemon.running());
}

TEST_CASE("waiters for a version killed at any point leave nothing, and those beside them are woken",
          "[crash][live]") {
  const DaemonProcess daemon;
  const Word heard, write, written;
  // The writer and the bystander live through all of it.
  Other writer([&] {
    const Store mine = daemon.connect();
    const View view = mine.put<std::int32_t>("l/x", std::vector<std::int32_t>(100, 0), {.kind = Kind::kLive});
    written.say('p');
    for (int round = 1; round <= kRounds; ++round) {
      const char how = write.hear();
      const Writing writing = view.writing();
      if (how == 'b') {  // begin, and stay in the middle until the victim has asked about us
        written.say('m');
        static_cast<void>(write.hear());
      }
      view.as_mutable<std::int32_t>()[0] = round;
    }
    return 0;
  });
  REQUIRE(written.hear() == 'p');
  Other bystander([&] {
    const Store mine = daemon.connect();
    const View view = mine.attach("l/x");
    std::vector<std::byte> copy(view.size_bytes());
    std::uint64_t seen = 0;
    while (seen < kRounds) {
      seen = view.wait(seen);
      heard.say('h');
    }
    return 0;
  });
  std::mt19937 random(20261125);
  for (int round = 1; round <= kRounds; ++round) {
    const bool in_the_middle = round % 5 == 0;
    const char* const point =
        in_the_middle ? "version.asked"
                      : kVersionPoints[static_cast<std::size_t>(round) % std::size(kVersionPoints)];
    const Mode mode = round % 2 == 0 ? Mode::kRead : Mode::kReadWrite;
    INFO("round " << round << ", point " << point);
    const Word waits;
    if (in_the_middle) {
      write.say('b');
      REQUIRE(written.hear() == 'm');
    }
    Other victim([&] {
      const Store mine = daemon.connect();
      const View view = mine.attach("l/x", mode);
      os::arm_crash_point(point);
      waits.say('w');
      for (std::uint64_t seen = static_cast<std::uint64_t>(round) - 1;;) seen = view.wait(seen);
      return 1;
    });
    REQUIRE(waits.hear() == 'w');
    if (in_the_middle) {
      REQUIRE(victim.join() == kKilled);
      write.say('e');
      REQUIRE(heard.hear() == 'h');
      continue;
    }
    ::usleep(random() % 2'000);
    write.say('w');
    REQUIRE(heard.hear() == 'h');
    REQUIRE(victim.join() == kKilled);
  }
  CHECK(writer.join() == 0);
  CHECK(bystander.join() == 0);
  const Store store = daemon.connect();
  CHECK(store.attach("l/x").version() == kRounds);
  store.remove("l/x");
  CHECK(eventually([&] { return is_empty(store.stats()) && store.stats().connections == 1; }));
}

TEST_CASE("waiters killed from outside while they sleep leave nothing", "[crash][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<std::int32_t>("l/x", std::vector<std::int32_t>(100, 0), {.kind = Kind::kLive});
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const Word ready;
    Other victim([&] {
      const Store mine = daemon.connect();
      const View view = mine.attach("l/x", round % 3 == 0 ? Mode::kReadWrite : Mode::kRead);
      ready.say('r');
      if (round % 2 == 0) static_cast<void>(view.wait(view.version()));
      static_cast<void>(mine.wait("never/comes"));
      return 1;
    });
    REQUIRE(ready.hear() == 'r');
    ::usleep(random() % 20'000);
    victim.kill();
    // A writer goes on at once, whoever was said to sleep.
    const View view = store.attach("l/x", Mode::kReadWrite);
    static_cast<void>(view.writing());
  }
  store.put<std::int32_t>("never/comes", std::vector<std::int32_t>{1});
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return is_empty(store.stats()) && store.stats().connections == 1; }));
}
