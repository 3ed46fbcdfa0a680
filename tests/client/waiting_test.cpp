// Waiting for a name that is not published yet, and what a wait says that was in vain.
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "other_process.hpp"

using namespace tensord;
using namespace std::chrono_literals;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::Other;

namespace {

const std::vector<float> kValues{1, 2, 3, 4};

// What the TimeoutError of `wait` says; nothing if it threw none.
template <class Wait>
std::string text_of_timeout(Wait&& wait) {
  try {
    wait();
  } catch (const TimeoutError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("who waits for a name gets it when another process publishes it", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Other producer([&] {
    const Store own = daemon.connect();
    ::usleep(50'000);  // so that the waiter sleeps, mostly
    own.put<float>("w/x", kValues);
    return 0;
  });
  const View view = store.wait("w/x");
  CHECK(view.as<float>()[3] == 4);
  CHECK(view.mode() == Mode::kRead);
  CHECK(producer.join() == 0);
}

TEST_CASE("a name that is there needs no waiting, whatever the timeout", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("w/x", kValues, {.kind = Kind::kLive});
  CHECK(store.wait("w/x", 0ns).as<float>()[1] == 2);
  const View writable = store.wait("w/x", 0ns, Mode::kReadWrite);
  writable.as_mutable<float>()[1] = 7;
  CHECK(store.wait("w/x", kForever).as<float>()[1] == 7);
  store.put<float>("w/sealed", kValues);
  CHECK_THROWS_AS(store.wait("w/sealed", 10s, Mode::kReadWrite), PermissionDeniedError);
  CHECK_THROWS_AS(store.wait("", 10s), InvalidArgumentError);
}

TEST_CASE("one publication wakes waiters in many processes", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<std::unique_ptr<Other>> waiters;
  for (int i = 0; i < 8; ++i) {
    waiters.push_back(std::make_unique<Other>([&] {
      const Store own = daemon.connect();
      own.put<float>("w/ready/" + std::to_string(i), kValues);
      return own.wait("w/x").as<float>()[0] == 1 ? 0 : 2;
    }));
  }
  for (int i = 0; i < 8; ++i) store.wait("w/ready/" + std::to_string(i));
  store.put<float>("w/x", kValues);
  for (const auto& waiter : waiters) CHECK(waiter->join() == 0);
}

TEST_CASE("two processes hand a name back and forth, and each waits for every turn", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  constexpr std::int64_t kTurns = 2'000;
  Other other([&] {
    const Store own = daemon.connect();
    for (std::int64_t turn = 0; turn < kTurns; ++turn) {
      const View ball = own.wait("w/ping");
      if (ball.as<std::int64_t>()[0] != turn) return 2;
      own.remove("w/ping");
      own.put<std::int64_t>("w/pong", std::vector<std::int64_t>{turn});
    }
    return 0;
  });
  for (std::int64_t turn = 0; turn < kTurns; ++turn) {
    store.put<std::int64_t>("w/ping", std::vector<std::int64_t>{turn});
    REQUIRE(store.wait("w/pong").as<std::int64_t>()[0] == turn);
    store.remove("w/pong");
  }
  CHECK(other.join() == 0);
}

TEST_CASE("other names wake nobody for long", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Other producer([&] {
    const Store own = daemon.connect();
    // More names than there are words to sleep on, so that some share the waiter's.
    for (int i = 0; i < 1'000; ++i) own.put<float>("w/other/" + std::to_string(i), kValues);
    own.put<float>("w/x", kValues, {.replace = true});
    return 0;
  });
  CHECK(store.wait("w/x").name() == "w/x");
  CHECK(producer.join() == 0);
}

TEST_CASE("a wait in vain offers near names, and says that nobody is building the tensor",
          "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("demo/ramp", kValues);
  const std::string text = text_of_timeout([&] { store.wait("demo/rmp", 20ms); });
  CHECK_THAT(text, contains_text("no tensor is named 'demo/rmp', and nobody is building one"));
  CHECK_THAT(text, contains_text("did you mean 'demo/ramp'?"));
  CHECK_THROWS_AS(store.wait("demo/rmp", 0ns), TimeoutError);
  // Who did not wait is not told what nobody does.
  CHECK_THROWS_WITH(store.attach("demo/rmp"), !contains_text("building"));
}

TEST_CASE("a wait in vain names the process that is building the tensor", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Other builder([&] {
    const Store own = daemon.connect();
    const auto draft = own.build("w/x", kFloat32, std::vector<std::int64_t>{4});
    own.put<float>("w/begun", kValues);
    for (;;) ::pause();
    return 0;
  });
  store.wait("w/begun");
  const std::string named = "pid " + std::to_string(builder.pid()) + " is building one";
  CHECK_THAT(text_of_timeout([&] { store.wait("w/x", 20ms); }), contains_text(named));
  CHECK_THROWS_WITH(store.attach("w/x"), contains_text(named));
  // Killed, it builds no more: as soon as the daemon has noticed.
  builder.kill();
  CHECK(eventually([&] {
    return text_of_timeout([&] { store.wait("w/x", 0ns); }).find("nobody is building one") !=
           std::string::npos;
  }));
}

TEST_CASE("of two who build one name, the other one is named when the first gives up", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  auto first = store.build("w/x", kFloat32, std::vector<std::int64_t>{4});
  auto second = store.build("w/x", kFloat32, std::vector<std::int64_t>{4});
  first.abort();
  CHECK_THAT(text_of_timeout([&] { store.wait("w/x", 0ns); }),
             contains_text("pid " + std::to_string(::getpid()) + " is building one"));
  second.abort();
  CHECK_THAT(text_of_timeout([&] { store.wait("w/x", 0ns); }), contains_text("nobody is building one"));
}

TEST_CASE("a waiter notices that the daemon was killed", "[client][waiting]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Other killer([&] {
    ::usleep(50'000);
    return ::kill(daemon.pid(), SIGKILL);
  });
  CHECK_THROWS_AS(store.wait("w/x"), ConnectionLostError);
  CHECK(killer.join() == 0);
}

TEST_CASE("closing a store ends the waits of other threads", "[client][waiting]") {
  const DaemonProcess daemon;
  Store store = daemon.connect();
  std::string said;
  std::thread waiter([&, own = store] {
    try {
      own.wait("w/x");
    } catch (const ConnectionLostError& error) {
      said = error.what();
    }
  });
  std::this_thread::sleep_for(30ms);
  store.close();
  waiter.join();
  CHECK_THAT(said, contains_text("closed"));
}

TEST_CASE("a signal may end a wait", "[client][waiting]") {
  const DaemonProcess daemon;
  const int status = in_child([&] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    const Store store = daemon.connect();
    const View live = store.put<float>("w/live", kValues, {.kind = Kind::kLive});
    // Only now: who waits for long asks it without a signal, too, and on a busy machine a put may take long.
    Store::set_interrupt_check([] { throw std::runtime_error("interrupted"); });
    int ended = 0;
    for (const bool for_name : {true, false}) {
      const itimerval soon{{0, 0}, {0, 50'000}};
      ::setitimer(ITIMER_REAL, &soon, nullptr);
      try {
        if (for_name) {
          store.wait("w/x");
        } else {
          live.wait(0);
        }
      } catch (const std::runtime_error&) {
        ++ended;
      }
    }
    return ended == 2 ? 0 : 1;
  });
  CHECK(status == 0);
}

TEST_CASE("a waiter in a child that was forked from a connected process gets its name",
          "[client][waiting][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  Other child([&] { return store.wait("w/x").as<float>()[2] == 3 ? 0 : 2; });
  store.put<float>("w/x", kValues);
  CHECK(child.join() == 0);
  CHECK(store.wait("w/x", 0ns).as<float>()[2] == 3);
}

TEST_CASE("a wait for a version in vain says who wrote last, and whether that process is still there",
          "[client][waiting][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("w/x", kValues, {.kind = Kind::kLive});
  const auto text = [&](std::uint64_t after) { return text_of_timeout([&] { view.wait(after, 0ns); }); };
  CHECK_THAT(text(0), contains_text("nobody has written it since it was put"));
  Other writer([&] {
    const Store own = daemon.connect();
    { const Writing writing = own.attach("w/x", Mode::kReadWrite).writing(); }
    for (;;) ::pause();
    return 0;
  });
  REQUIRE(view.wait(0) == 1);
  CHECK_THAT(text(1),
             contains_text("its last writer, pid " + std::to_string(writer.pid()) + ", is still connected"));
  writer.kill();
  CHECK(eventually([&] { return text(1).find("its last writer is gone") != std::string::npos; }));
  { const Writing writing = view.writing(); }
  CHECK_THAT(text(2), contains_text("pid " + std::to_string(::getpid())));
}

TEST_CASE("parent and child may both wait in vain with views from before the fork",
          "[client][waiting][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("w/x", kValues, {.kind = Kind::kLive});
  { const Writing writing = view.writing(); }
  // Each asks the daemon about the last writer; on one socket they would take each other's replies.
  const auto wait_in_vain = [&] {
    for (int i = 0; i < 200; ++i) {
      const std::string said = text_of_timeout([&] { view.wait(1, 0ns); });
      if (said.find("its last writer, pid ") == std::string::npos) return 2;
    }
    return 0;
  };
  Other child(wait_in_vain);
  CHECK(wait_in_vain() == 0);
  CHECK(child.join() == 0);
}

TEST_CASE("after the daemon is gone, versions still come, and a wait in vain still says so",
          "[client][waiting][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("w/x", kValues, {.kind = Kind::kLive});
  REQUIRE(::kill(daemon.pid(), SIGKILL) == 0);
  REQUIRE(eventually([&] { return !daemon.running(); }));
  { const Writing writing = view.writing(); }
  CHECK(view.wait(0, 10s) == 1);
  CHECK_THAT(text_of_timeout([&] { view.wait(1, 20ms); }), contains_text("only the daemon knew"));
}
