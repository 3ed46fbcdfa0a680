// What a small put does not do while the daemon is awake: it asks nothing of the kernel. Which of the two
// sleeps when is up to the machine, so the messages by which they wake each other are allowed, and nothing
// else is.
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "system_calls.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr int kPuts = 5'000;

// In a child: warms up, and then counts what `work` does. Returns 0 if it made no system call but messages,
// of which at most four go with each request: the bell, and what it takes to sleep.
template <class Work>
int only_wakes(const DaemonProcess& daemon, std::uint64_t requests, Work&& work) {
  return in_child([&] {
    const Store store = Store::connect({daemon.socket(), false});
    work(store);
    const SystemCalls& calls = begin_counting_system_calls();
    work(store);
    const SystemCalls made = calls;
    if (made.others == 0 && made.wake_ups <= 4 * requests) return 0;
    std::fprintf(stderr, "%llu wake-ups, %llu other system calls, the last one number %ld\n",
                 static_cast<unsigned long long>(made.wake_ups), static_cast<unsigned long long>(made.others),
                 made.last_other);
    return 1;
  });
}

}  // namespace

TEST_CASE("a warm put of 4 KiB makes no system call but for a wake-up", "[counts]") {
  const DaemonProcess daemon;
  const std::vector<float> values(1'024, 1.0F);
  const int status = only_wakes(daemon, 2 * kPuts, [&](const Store& store) {
    for (int i = 0; i < kPuts; ++i) (void)store.put<float>("a/x", values, {.replace = true});
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("neither do put, look and remove under names that come and go", "[counts]") {
  const DaemonProcess daemon;
  const std::vector<float> values(1'024, 1.0F);
  const int status = only_wakes(daemon, 4 * kPuts, [&](const Store& store) {
    for (int i = 0; i < kPuts; ++i) {
      const std::string name = "a/" + std::to_string(i % 100);
      (void)store.put<float>(name, values);
      if (!store.contains(name)) throw InternalError("put, and gone");
      store.remove(name);
    }
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the check above can fail: the first attach to a segment maps it", "[counts]") {
  const DaemonProcess daemon;
  daemon.connect().put<float>("a/x", std::vector<float>(10));
  // In a segment of its own, which is what who connects now gets ahead.
  daemon.connect().put<float>("a/live", std::vector<float>(10), {.kind = Kind::kLive});
  const int status = in_child([&] {
    const Store store = Store::connect({daemon.socket(), false});
    const SystemCalls& calls = begin_counting_system_calls();
    (void)store.attach("a/x");
    return calls.others > 0 ? 0 : 1;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
