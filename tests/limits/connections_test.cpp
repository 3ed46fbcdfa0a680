// A thousand connections, of several processes.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "figures.hpp"
#include "other_process.hpp"
#include "word.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::Other;
using tensord::test::say_bytes;
using tensord::test::status_bytes;
using tensord::test::timed;
using tensord::test::Word;

namespace {

constexpr std::uint32_t kProcesses = 8;
constexpr std::uint32_t kConnections = 1'000;  // with that of the test itself

// Those of one process: the rest of the thousand is shared evenly.
constexpr std::uint32_t connections_of(std::uint32_t process) {
  return (kConnections - 1) / kProcesses + (process < (kConnections - 1) % kProcesses);
}

}  // namespace

TEST_CASE("a thousand connections put, attach and hang up, and leave nothing", "[limits]") {
  const DaemonProcess daemon({"--max-connections", std::to_string(kConnections)});
  // In a child, and no store here before the last fork: that would give this process a second connection.
  REQUIRE(in_child([&] {
            daemon.connect().put<std::uint32_t>("common/x", std::vector<std::uint32_t>{42});
            return 0;
          }) == 0);
  const std::uint64_t anon_before = status_bytes(daemon.pid(), "RssAnon");
  const std::uint64_t shared_before = status_bytes(daemon.pid(), "RssShmem");

  const Word ready, go;
  std::vector<std::unique_ptr<Other>> processes;
  timed("connect, put and attach", kConnections - 1, [&] {
    for (std::uint32_t p = 0; p < kProcesses; ++p) {
      processes.push_back(std::make_unique<Other>([&, p] {
        std::vector<Store> mine;
        std::vector<View> held;
        for (std::uint32_t i = 0; i < connections_of(p); ++i) {
          mine.push_back(daemon.connect());
          const std::string name = "of" + std::to_string(p) + "/" + std::to_string(i);
          held.push_back(mine.back().put<std::uint32_t>(name, std::vector<std::uint32_t>{p, i}));
          held.push_back(mine.back().attach("common/x"));
          if (held.back().as<std::uint32_t>()[0] != 42) return 2;
        }
        ready.say('r');
        if (go.hear() != 'g') return 3;
        for (std::uint32_t i = 0; i < connections_of(p); ++i) {
          if (held[2 * i].as<std::uint32_t>()[1] != i) return 4;
        }
        return 0;
      }));
    }
    for (std::uint32_t p = 0; p < kProcesses; ++p) CHECK(ready.hear() == 'r');
  });
  const Store store = daemon.connect();
  CHECK(store.stats().connections == kConnections);
  CHECK(store.stats().tensors == kConnections);
  CHECK(store.holders("common/x").size() == kConnections - 1);
  CHECK_THROWS_AS(daemon.connect(), LimitReachedError);
  CHECK_THROWS_WITH(daemon.connect(), contains_text("1000") && contains_text("--max-connections"));
  const std::uint64_t anon_bytes = status_bytes(daemon.pid(), "RssAnon") - anon_before;
  const std::uint64_t shared_bytes = status_bytes(daemon.pid(), "RssShmem") - shared_before;
  say_bytes("the daemon's own memory for all", anon_bytes);
  say_bytes("their ledgers and rings", shared_bytes);
  CHECK(anon_bytes + shared_bytes < std::uint64_t{kConnections} * 256 * 1024);

  // A delete looks at the ledgers of all that hold the segment.
  timed("replace what all of them hold", 100, [&] {
    for (std::uint32_t i = 0; i < 100; ++i) {
      store.put<std::uint32_t>("common/x", std::vector<std::uint32_t>{i}, {.replace = true});
    }
  });

  // Half of them are killed, the others come to their end.
  timed("all hang up", kConnections - 1, [&] {
    for (std::uint32_t p = 0; p < kProcesses; p += 2) processes[p]->kill();
    for (std::uint32_t p = 1; p < kProcesses; p += 2) go.say('g');
    for (std::uint32_t p = 1; p < kProcesses; p += 2) CHECK(processes[p]->join() == 0);
    CHECK(eventually([&] { return store.stats().connections == 1; }));
  });
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return store.stats().used_bytes == 0 && store.stats().dying_tensors == 0; }));
  CHECK_NOTHROW(daemon.connect());
}
