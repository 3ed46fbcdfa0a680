// Requests by ring, with a daemon that sleeps, stops, or dies in between.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "processes.hpp"

using namespace tensord;
using namespace std::chrono_literals;
using tensord::test::cpu_ticks;
using tensord::test::DaemonProcess;

TEST_CASE("requests reach a daemon that is awake, asleep, or just about to fall asleep", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<std::int32_t> values{1, 2, 3};
  for (int i = 0; i < 300; ++i) {
    store.put<std::int32_t>("r/x", values, {.replace = true});
    CHECK(store.info("r/x").size_bytes == 12);
    // From none to well past the daemon's patience.
    std::this_thread::sleep_for(std::chrono::microseconds(i % 100 * 2));
  }
  CHECK(store.stats().tensors == 1);
}

TEST_CASE("what a thread lets go of is known before its next request", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 200; ++i) {
    View view = store.put<std::int32_t>("r/x", std::vector<std::int32_t>{i});
    store.remove("r/x");
    CHECK(store.stats().dying_tensors == 1);
    view.reset();
    CHECK(store.stats().dying_tensors == 0);
  }
}

TEST_CASE("many nudges without a request in between do not fill the ring for good", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<View> views;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "r/" + std::to_string(i);
    views.push_back(store.put<std::int32_t>(name, std::vector<std::int32_t>{i}));
    store.remove(name);
  }
  views.clear();
  CHECK(test::eventually([&] { return store.stats().dying_tensors == 0; }));
}

TEST_CASE("a request waits for a daemon that is stopped, and is answered once it goes on", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<std::int32_t>("r/x", std::vector<std::int32_t>{1});
  ::kill(daemon.pid(), SIGSTOP);
  std::thread later([&] {
    std::this_thread::sleep_for(50ms);
    ::kill(daemon.pid(), SIGCONT);
  });
  CHECK(store.contains("r/x"));
  later.join();
}

TEST_CASE("a daemon that dies under a request leaves an error, not a hang", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<std::int32_t>("r/x", std::vector<std::int32_t>{1});
  ::kill(daemon.pid(), SIGSTOP);
  std::thread later([&] {
    std::this_thread::sleep_for(50ms);
    ::kill(daemon.pid(), SIGKILL);
  });
  CHECK_THROWS_AS(store.stats(), ConnectionLostError);
  later.join();
  CHECK_THROWS_AS(store.stats(), ConnectionLostError);
  CHECK(view.as<std::int32_t>()[0] == 1);
}

TEST_CASE("threads share a ring without taking each other's answers", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = "r/" + std::to_string(t);
      for (int i = 1; i <= 200; ++i) {
        store.put<std::int32_t>(name, std::vector<std::int32_t>(static_cast<std::size_t>(i), t),
                                {.replace = true});
        if (store.info(name).size_bytes != static_cast<std::uint64_t>(4 * i)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a daemon that has nothing to do uses no processor", "[client][ring]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 100; ++i) {
    store.put<std::int32_t>("r/x", std::vector<std::int32_t>{i}, {.replace = true});
  }
  std::this_thread::sleep_for(300ms);  // one sweep, at most, is still to come
  const std::uint64_t before = cpu_ticks(daemon.pid());
  std::this_thread::sleep_for(2s);
  CHECK(cpu_ticks(daemon.pid()) == before);
}
