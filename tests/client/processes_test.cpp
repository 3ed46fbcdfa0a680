// What a process may do with itself while it holds views: fork again and again, exec, spawn, become a daemon,
// stop, close twice. Bytes stay while anybody looks at them, and come back when nobody does.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "other_process.hpp"
#include "values.hpp"
#include "word.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::Other;
using tensord::test::Word;

namespace {

const std::vector<float> kValues{1, 2, 3, 4};
constexpr int kEndedBySignal = -1;  // as Other says it

bool is_whole(const View& view) { return tensord::test::holds(view, kValues); }

// Tensors of the same size, which would take freed space.
void scribble_over_free_space(const Store& store, int count = 20) {
  for (int i = 0; i < count; ++i) {
    const std::string name = "scribble/" + std::to_string(i);
    store.put<float>(name, std::vector<float>(4, -1.0f), {.replace = true});
    store.remove(name);
  }
}

bool nothing_is_held(const Store& store) {
  const StoreStats stats = store.stats();
  return stats.used_bytes == 0 && stats.dying_tensors == 0 && stats.building_tensors == 0;
}

// Takes the process's last words, and returns how it ended.
int ended(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("a view goes through five generations of forks, and each may drop it first",
          "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  constexpr int kGenerations = 5;
  for (int dropper = 0; dropper <= kGenerations; ++dropper) {
    CAPTURE(dropper);
    View view = store.put<float>("a/x", kValues);
    const auto generation = [&](const auto& self, int depth) -> int {
      if (depth == dropper) {
        view.reset();
        store.remove("a/x");
        scribble_over_free_space(store);
      }
      if (depth == kGenerations) return 0;
      const int below = in_child([&] { return self(self, depth + 1); });
      if (below != 0) return below;
      // Its ancestors still see it whole, although their descendants have come and gone.
      return depth >= dropper || is_whole(view) ? 0 : 1 + depth;
    };
    CHECK(generation(generation, 0) == 0);
    view.reset();
    CHECK(eventually([&] { return nothing_is_held(store); }));
  }
}

TEST_CASE("a thread forks while another one holds the only view, which then is the child's",
          "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::optional<View> view = store.put<float>("a/x", kValues);
  const Word go;
  pid_t child = 0;
  std::thread([&] {
    child = ::fork();
    if (child != 0) return;
    // Only this thread lives on here.
    const bool told = go.hear() == 'g';
    const bool whole = is_whole(*view);
    view.reset();
    ::_exit(told && whole && store.attach("a/y").size_bytes() == 16 ? 0 : 1);
  }).join();
  view.reset();
  store.remove("a/x");
  scribble_over_free_space(store);
  store.put<float>("a/y", kValues);
  go.say('g');
  CHECK(ended(child) == 0);
  store.remove("a/y");
  CHECK(eventually([&] { return nothing_is_held(store); }));
}

TEST_CASE("who dropped its views after a fork keeps nothing, though it makes no other call",
          "[client][processes]") {
  const DaemonProcess daemon;
  const Word dropped, end;
  // The maker, and a child of it, each with its store, and idle.
  Other maker([&] {
    const Store store = daemon.connect();
    View view = store.put<float>("a/x", kValues);
    Other child([&] {
      view.reset();
      dropped.say('c');
      return end.hear() == 'e' ? 0 : 2;
    });
    view.reset();
    dropped.say('m');
    const int code = end.hear() == 'e' ? 0 : 3;
    return child.join() + code;
  });
  static_cast<void>(dropped.hear());
  static_cast<void>(dropped.hear());
  const Store store = daemon.connect();
  store.remove("a/x");
  CHECK(eventually([&] { return nothing_is_held(store); }));
  CHECK(store.stats().connections == 1);
  end.say('e');
  end.say('e');
  CHECK(maker.join() == 0);
}

TEST_CASE("a tensor bound to its client outlives forks, and goes with its maker", "[client][processes]") {
  const DaemonProcess daemon;
  const Word forked, used, end;
  Other maker([&] {
    const Store store = daemon.connect();
    const PutOptions bound{.lifetime = Lifetime::kClient};
    store.put<float>("a/put", kValues, bound);
    store.put<float>("a/put_again", kValues, bound);  // into a spare
    const std::vector<std::int64_t> shape{4};
    store.put_many(std::vector<PutItem>{{"a/many", {kFloat32, shape, {}, kValues.data()}}}, bound);
    Other child([&] {
      forked.say('f');
      return end.hear() == 'e' ? 0 : 2;
    });
    static_cast<void>(used.hear());
    static_cast<void>(store.stats());  // by a new connection
    forked.say('s');
    static_cast<void>(used.hear());
    ::raise(SIGKILL);  // the child lives on
    return 1;
  });
  CHECK(forked.hear() == 'f');
  const Store store = daemon.connect();
  CHECK(store.names().size() == 3);
  used.say('u');
  CHECK(forked.hear() == 's');
  CHECK(store.names().size() == 3);
  used.say('k');
  CHECK(maker.join() == kEndedBySignal);
  CHECK(eventually([&] { return store.names().empty() && nothing_is_held(store); }));
  end.say('e');
}

TEST_CASE("what a child attached by itself goes when it executes another program", "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  const Word attached;
  Other child([&] {
    const View own = store.attach("a/x");
    attached.say(is_whole(own) ? 'y' : 'n');
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    return 1;
  });
  CHECK(attached.hear() == 'y');
  store.remove("a/x");
  // The program that runs there now has none of our descriptors, so the daemon heard a hang-up.
  CHECK(eventually([&] { return nothing_is_held(store); }));
  REQUIRE(::kill(child.pid(), SIGKILL) == 0);
  CHECK(child.join() == kEndedBySignal);
}

TEST_CASE("a program that is spawned inherits nothing that would keep bytes", "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  View view = store.put<float>("a/x", kValues);
  std::string program = "/bin/sleep", time = "60";
  char* const arguments[] = {program.data(), time.data(), nullptr};
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) == 0);
  CHECK(is_whole(view));
  store.remove("a/x");
  view.reset();
  CHECK(eventually([&] { return nothing_is_held(store); }));
  // Nor does it keep a connection open that its parent has closed.
  { Store closed = daemon.connect(); }
  CHECK(eventually([&] { return store.stats().connections == 1; }));
  ::kill(child, SIGKILL);
  CHECK(WIFSIGNALED(ended(child)));
}

TEST_CASE("a process that becomes a daemon keeps its views and its store", "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  View view = store.put<float>("a/x", kValues);
  const Word go, done;
  Other child([&] {
    ::setsid();
    if (::fork() != 0) return 0;
    const bool told = go.hear() == 'g';
    bool good = told && is_whole(view);
    view.reset();
    good = good && is_whole(store.put<float>("a/from-daemon", kValues));
    done.say(good ? 'y' : 'n');
    return 0;
  });
  CHECK(child.join() == 0);
  view.reset();
  store.remove("a/x");
  scribble_over_free_space(store);
  go.say('g');
  CHECK(done.hear() == 'y');
  CHECK(is_whole(store.attach("a/from-daemon")));
  store.remove("a/from-daemon");
  CHECK(eventually([&] { return nothing_is_held(store); }));
}

TEST_CASE("a client that is stopped holds its bytes and nobody else up", "[client][processes]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  const Word attached;
  Other child([&]() -> int {
    const View own = store.attach("a/x");
    const Builder half = store.build("a/half", kFloat32, std::vector<std::int64_t>{4});
    attached.say('y');
    for (;;) ::pause();
  });
  CHECK(attached.hear() == 'y');
  REQUIRE(::kill(child.pid(), SIGSTOP) == 0);
  store.remove("a/x");
  scribble_over_free_space(store, 200);
  CHECK(store.stats().dying_tensors == 1);
  CHECK(store.stats().building_tensors == 1);
  // It may even be ended without ever running again.
  REQUIRE(::kill(child.pid(), SIGKILL) == 0);
  CHECK(child.join() == kEndedBySignal);
  CHECK(eventually([&] { return nothing_is_held(store); }));
}

TEST_CASE("a store is closed twice, and its views are dropped after it, also behind a fork",
          "[client][processes]") {
  const DaemonProcess daemon;
  const Store looking = daemon.connect();
  {
    Store store = daemon.connect();
    View view = store.put<float>("a/x", kValues);
    store.close();
    store.close();
    CHECK(is_whole(view));
    CHECK(in_child([&] {
            store.close();
            const bool whole = is_whole(view);
            view.reset();
            view.reset();
            return whole ? 0 : 1;
          }) == 0);
    looking.remove("a/x");
    scribble_over_free_space(looking);
    CHECK(is_whole(view));
    CHECK(looking.stats().dying_tensors == 1);
  }
  CHECK(eventually([&] { return nothing_is_held(looking) && looking.stats().connections == 1; }));
}
