// A new version of a live tensor is a few stores; it costs a system call only while somebody sleeps on it.
#include <cstdio>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "shm/live_header.hpp"
#include "system_calls.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr int kWrites = 1'000;

View put_live(const Store& store) {
  return store.put<float>("a/live", std::vector<float>(16), {.kind = Kind::kLive});
}

// In a child: whether that many writings made so many futex calls and no other system call.
template <class Prepare>
void check_wakes(const Store& store, std::uint64_t wakes, Prepare&& prepare) {
  const int status = in_child([&] {
    const View view = put_live(store);
    view.writing().end();
    prepare(view);
    const SystemCalls& calls = begin_counting_system_calls();
    for (int i = 0; i < kWrites; ++i) view.writing().end();
    const SystemCalls made = calls;
    if (made.wake_ups == wakes && made.others == 0) return 0;
    std::fprintf(stderr, "%llu wakes, %llu other system calls\n",
                 static_cast<unsigned long long>(made.wake_ups),
                 static_cast<unsigned long long>(made.others));
    return 1;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace

TEST_CASE("writing a live tensor that nobody awaits makes no system call", "[counts]") {
  const DaemonProcess daemon;
  check_wakes(daemon.connect(), 0, [](const View&) {});
}

TEST_CASE("writers who wake nobody for long stop it", "[counts]") {
  const DaemonProcess daemon;
  check_wakes(daemon.connect(), shm::kMaxIdleWakes + 1, [](const View& view) {
    reinterpret_cast<shm::LiveHeader*>(view.mutable_data() - shm::kLivePrefixBytes)->set_awaited();
  });
}
