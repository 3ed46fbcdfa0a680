// Who sleeps, and for what, as Store::waiters tells it; and what the store counts.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <future>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "other_process.hpp"
#include "shm/ledger.hpp"

using namespace tensord;
using namespace std::chrono_literals;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::Other;

namespace {

// "a/x:name a/y:version", sorted by connection.
std::string waits_of(const Store& store) {
  std::string text;
  for (const Waiter& waiter : store.waiters()) {
    text += (text.empty() ? "" : " ") + waiter.name + ":" + word_of(waiter.waits_for);
  }
  return text;
}

std::future<void> begin_to_wait(const Store& store, std::string name,
                                std::chrono::nanoseconds timeout = kForever) {
  return std::async(std::launch::async, [=, &store] { static_cast<void>(store.wait(name, timeout)); });
}

}  // namespace

TEST_CASE("who waits for a name is a waiter until it comes, or the wait is given up", "[client][waiters]") {
  const DaemonProcess daemon;
  const Store looking = daemon.connect(), waiting = daemon.connect();
  CHECK(looking.waiters().empty());
  auto wait = begin_to_wait(waiting, "a/x");
  REQUIRE(eventually([&] { return waits_of(looking) == "a/x:name"; }));
  const Waiter waiter = looking.waiters().at(0);
  CHECK(waiter.pid == static_cast<std::uint32_t>(::getpid()));
  CHECK(waiter.uid == ::geteuid());
  CHECK(waiter.command == "client_tests");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  CHECK(waiter.since_unix_ns <= static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count()));
  CHECK(waiter.since_unix_ns > static_cast<std::uint64_t>(std::chrono::nanoseconds(now - 10min).count()));

  looking.put<float>("a/x", std::vector<float>{1});
  wait.get();
  CHECK(looking.waiters().empty());
  CHECK_THROWS_AS(begin_to_wait(waiting, "a/y", 20ms).get(), TimeoutError);
  CHECK(looking.waiters().empty());
}

TEST_CASE("who waits for a live tensor's next version, or for its writer, is a waiter by its name",
          "[client][waiters]") {
  const DaemonProcess daemon;
  const Store looking = daemon.connect(), waiting = daemon.connect();
  const View writer = looking.put<float>("l/x", std::vector<float>(4), {.kind = Kind::kLive});
  const View reader = waiting.attach("l/x");
  auto version = std::async(std::launch::async, [&] { return reader.wait(0); });
  REQUIRE(eventually([&] { return waits_of(looking) == "l/x:version"; }));
  auto writing = writer.writing();
  REQUIRE(eventually([&] { return waits_of(looking) == "l/x:version"; }));
  writing.end();
  CHECK(version.get() == 1);
  CHECK(looking.waiters().empty());
}

TEST_CASE("more threads than can be shown wait just as well", "[client][waiters]") {
  const DaemonProcess daemon;
  const Store looking = daemon.connect(), waiting = daemon.connect();
  std::vector<std::future<void>> waits;
  for (std::uint32_t i = 0; i < shm::kShownWaits + 3; ++i) {
    waits.push_back(begin_to_wait(waiting, "a/" + std::to_string(i)));
  }
  CHECK(eventually([&] { return looking.waiters().size() == shm::kShownWaits; }));
  for (std::uint32_t i = 0; i < waits.size(); ++i) {
    looking.put<float>("a/" + std::to_string(i), std::vector<float>{1});
  }
  for (auto& wait : waits) wait.get();
  CHECK(looking.waiters().empty());
}

TEST_CASE("waiters of many connections come in several pages, and a killed one is none any more",
          "[client][waiters]") {
  const DaemonProcess daemon;
  const Store looking = daemon.connect();
  constexpr std::size_t kProcesses = 30;  // more than two pages
  std::deque<Other> others;
  for (std::size_t i = 0; i < kProcesses; ++i) {
    others.emplace_back([&] {
      static_cast<void>(daemon.connect().wait("a/none"));
      return 0;
    });
  }
  REQUIRE(eventually([&] { return looking.waiters().size() == kProcesses; }));
  std::uint32_t last = 0;
  for (const Waiter& waiter : looking.waiters()) {
    CHECK(waiter.connection > last);
    last = waiter.connection;
  }
  others.clear();  // kills them
  CHECK(eventually([&] { return looking.waiters().empty(); }));
}

TEST_CASE("the store counts what is published and deleted, and says who keeps it", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const StoreStats before = store.stats();
  CHECK(before.published == 0);
  CHECK(before.kept_by == KeptBy::kNobody);
  for (const float value : {1.0F, 2.0F, 3.0F}) {
    store.put<float>("a/x", std::vector<float>(256, value), {.replace = true});
  }
  store.put<float>("a/y", std::vector<float>(256));
  store.remove("a/y");
  const StoreStats after = store.stats();
  CHECK(after.published == 4);
  CHECK(after.published_bytes == 4 * 1024);
  CHECK(after.deleted == 3);  // two were replaced
}
