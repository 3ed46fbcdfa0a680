// A daemon that nobody asks for anything costs nothing, whoever is connected.
#include <unistd.h>

#include <cstdint>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "processes.hpp"

using namespace tensord;
using namespace tensord::test;

TEST_CASE("a daemon with a connection but no request takes no tick of the CPU and never wakes in two seconds",
          "[counts]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View held = store.put<float>("a/x", std::vector<float>(10));

  const std::uint64_t sleeps_before = sleeps_at_rest(daemon.pid());
  const std::uint64_t ticks_before = cpu_ticks(daemon.pid());
  ::usleep(2'000'000);
  CHECK(cpu_ticks(daemon.pid()) == ticks_before);
  CHECK(sleeps(daemon.pid()) == sleeps_before);
}

TEST_CASE("the check above can fail: a daemon that is asked without end takes ticks, and it wakes",
          "[counts]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::uint64_t sleeps_before = sleeps_at_rest(daemon.pid());
  const std::uint64_t ticks_before = cpu_ticks(daemon.pid());
  CHECK(eventually([&] {
    (void)store.contains("a/x");
    return cpu_ticks(daemon.pid()) > ticks_before;
  }));
  CHECK(sleeps_at_rest(daemon.pid()) > sleeps_before);
}
