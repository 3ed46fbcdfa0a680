// What attaching by name does not do: no memory is asked for, and the daemon sleeps on. That it makes no
// system call is judged by tests/client/no_system_call_test.cpp.
#include <cstdint>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "allocations.hpp"
#include "catch.hpp"
#include "daemon_process.hpp"
#include "processes.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr int kTensors = 100, kAttaches = 10'000;

std::vector<std::string> put_some(const Store& store) {
  std::vector<std::string> names;
  for (int i = 0; i < kTensors; ++i) {
    // Longer than what a std::string holds without the heap.
    names.push_back("a/tensor.of.a.name.of.some.length/" + std::to_string(i));
    store.put<float>(names.back(), std::vector<float>(10, float(i)));
  }
  return names;
}

}  // namespace

TEST_CASE("attaching, copying, moving and dropping views allocates no memory", "[counts]") {
  const DaemonProcess daemon;
  const std::vector<std::string> names = put_some(daemon.connect());
  const Store store = daemon.connect();
  (void)store.attach(names[0]);

  float sum = 0;
  const Allocations made = allocations_of([&] {
    for (int i = 0; i < kAttaches; ++i) {
      View view = store.attach(names[static_cast<std::size_t>(i) % names.size()]);
      const View copy = view;
      const View moved = std::move(view);
      sum += copy.as<float>()[0] + moved.as<float>()[9];
    }
  });
  CHECK(made.calls == 0);
  CHECK(sum == Approx(2.0 * kAttaches * (kTensors - 1) / 2));
}

TEST_CASE("the check above can fail: a question to the daemon allocates", "[counts]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", std::vector<float>(10));
  CHECK(allocations_of([&] { (void)store.names(); }).calls > 0);
}

TEST_CASE("ten thousand attaches wake no thread of the daemon", "[counts]") {
  const DaemonProcess daemon;
  const std::vector<std::string> names = put_some(daemon.connect());
  const Store store = daemon.connect();
  (void)store.attach(names[0]);

  const std::uint64_t before = sleeps_at_rest(daemon.pid());
  for (int i = 0; i < kAttaches; ++i) (void)store.attach(names[static_cast<std::size_t>(i) % names.size()]);
  // Who was woken goes to sleep again, and is counted then.
  CHECK(sleeps_at_rest(daemon.pid()) == before);

  (void)store.contains(names[0]);  // the check can fail: this is asked of the daemon
  CHECK(sleeps_at_rest(daemon.pid()) > before);
}
