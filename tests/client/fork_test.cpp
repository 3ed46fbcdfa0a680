// Forks: views on both sides stay valid, and what the parent held is given back only when neither
// side can see it any more.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "word.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::Word;

namespace {

const std::vector<float> kValues{1, 2, 3, 4};

}  // namespace

TEST_CASE("a store works on both sides of a fork", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  const View before = store.attach("a/x");
  const int status = in_child([&] {
    if (before.as<float>()[1] != 2) return 1;
    if (store.attach("a/x").as<float>()[2] != 3) return 2;
    store.put<float>("a/child", kValues);
    return in_child([&] { return store.attach("a/child").as<float>()[3] == 4 ? 0 : 3; });
  });
  CHECK(status == 0);
  CHECK(store.attach("a/child").as<float>()[0] == 1);
  CHECK(before.as<float>()[0] == 1);
}

TEST_CASE("a view that the parent drops after a fork stays valid in the child", "[client][fork]") {
  const DaemonProcess daemon;
  Store store = daemon.connect();
  View view = store.put<float>("a/x", kValues);
  const Word go;
  const pid_t child = ::fork();
  if (child == 0) {
    const bool told = go.hear() == 'g';
    const bool whole = told && view.as<float>()[3] == 4;
    view.reset();
    ::_exit(whole ? 0 : 1);
  }
  view.reset();
  store.remove("a/x");
  // New tensors of the same size would take the freed space, if it had been freed.
  for (int i = 0; i < 20; ++i) store.put<float>("b/" + std::to_string(i), std::vector<float>(4, -1.0f));
  CHECK(store.stats().dying_tensors == 1);
  go.say('g');
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(eventually([&] { return store.stats().dying_tensors == 0; }));
}

TEST_CASE("a view that a child drops stays valid in the parent", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  View view = store.put<float>("a/x", kValues);
  CHECK(in_child([&] {
          view.reset();
          store.remove("a/x");
          for (int i = 0; i < 20; ++i)
            store.put<float>("b/" + std::to_string(i), std::vector<float>(4, -1.0f));
          return 0;
        }) == 0);
  CHECK(view.as<float>()[3] == 4);
  CHECK(store.stats().dying_tensors == 1);
  view.reset();
  CHECK(eventually([&] { return store.stats().dying_tensors == 0; }));
}

TEST_CASE("a child does not drop or publish what its parent is building", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  auto builder = store.build("a/x", kInt8, std::vector<std::int64_t>{1});
  CHECK(in_child([&] {
          try {
            builder.publish();
            return 1;
          } catch (const InvalidArgumentError&) {
          }
          auto copy = std::move(builder);
          return 0;  // its destructor would abort
        }) == 0);
  CHECK(store.stats().building_tensors == 1);
  *builder.mutable_data() = std::byte{42};
  CHECK(builder.publish().as<std::int8_t>()[0] == 42);
}

TEST_CASE("threads attach and detach while the process forks", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const View view = store.attach("a/x");
        if (view.as<float>()[3] != 4) ++wrong;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    CHECK(in_child([&] { return store.attach("a/x").as<float>()[1] == 2 ? 0 : 1; }) == 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  store.remove("a/x");
  CHECK(eventually([&] { return store.stats().used_bytes == 0 && store.stats().connections == 1; }));
}
