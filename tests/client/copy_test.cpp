// The helping threads of large copies, as a process has them: under fork, at exit, and when it wants none.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::in_child;

namespace {

constexpr std::size_t kElements = std::size_t{16} << 20;  // 64 MiB of float

std::vector<float> numbers(float first) {
  std::vector<float> values(kElements);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i % 1021);
  return values;
}

bool holds(const View& view, const std::vector<float>& values) {
  const auto elements = view.as<float>();
  return std::equal(elements.begin(), elements.end(), values.begin(), values.end());
}

// Of this process.
std::vector<std::filesystem::path> copy_threads() {
  std::vector<std::filesystem::path> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name == "tensord-copy") found.push_back(task.path());
  }
  return found;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

TEST_CASE("a child that was forked after a large put makes large puts of its own", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const auto ours = numbers(1), theirs = numbers(2);
  store.put<float>("a/parent", ours);
  const int status = in_child([&] {
    if (!copy_threads().empty()) return 1;
    store.put<float>("a/child", theirs);
    std::vector<float> copy(kElements);
    store.attach("a/parent").clone_to(std::as_writable_bytes(std::span(copy)));
    if (copy != ours) return 2;
    return in_child([&] {
      store.put<float>("a/grandchild", theirs);
      return holds(store.attach("a/child"), theirs) ? 0 : 3;
    });
  });
  CHECK(status == 0);
  CHECK(holds(store.attach("a/child"), theirs));
  CHECK(holds(store.attach("a/grandchild"), theirs));
  CHECK(holds(store.put<float>("a/parent", theirs, {.replace = true}), theirs));
}

TEST_CASE("a process forks while another of its threads copies, and both go on", "[client][fork]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const auto values = numbers(3);
  std::atomic<bool> ending{false};
  std::thread copier([&] {
    while (!ending) store.put<float>("a/x", values, {.replace = true});
  });
  int bad = 0;
  for (int i = 0; i < 5; ++i) {
    bad +=
        in_child([&] { return holds(store.put<float>("a/" + std::to_string(i), values), values) ? 0 : 1; });
  }
  ending = true;
  copier.join();
  CHECK(bad == 0);
}

TEST_CASE("a process may exit while one of its threads copies", "[client]") {
  const DaemonProcess daemon;
  for (int i = 0; i < 5; ++i) {
    const int status = in_child([&] {
      // Both outlive main, as the globals of a program do.
      const auto* const store = new Store(daemon.connect());
      const auto* const values = new std::vector<float>(numbers(4));
      std::atomic<bool> copied{false};
      std::thread([&copied, store, values] {
        for (;;) {
          store->put<float>("a/x", *values, {.replace = true});
          copied = true;
        }
      }).detach();
      while (!copied) std::this_thread::yield();
      std::exit(0);  // with destructors of static objects, as when main returns
      return 1;
    });
    CHECK(status == 0);
  }
}

TEST_CASE("helping threads take no signals, and are as few as TENSORD_COPY_THREADS says", "[client]") {
  const DaemonProcess daemon;
  const auto values = numbers(5);
  // In children, whose threads were not started yet.
  const int status = in_child([&] {
    daemon.connect().put<float>("a/x", values);
    const auto threads = copy_threads();
    if (threads.size() > 3) return 1;
    if (std::thread::hardware_concurrency() > 1 && threads.empty()) return 2;
    for (const auto& thread : threads) {
      std::ifstream lines(thread / "status");
      for (std::string line; std::getline(lines, line);) {
        if (line.rfind("SigBlk:", 0) != 0) continue;
        const auto blocked = std::stoull(line.substr(7), nullptr, 16);
        if ((blocked >> (SIGINT - 1) & 1) == 0 || (blocked >> (SIGTERM - 1) & 1) == 0) return 3;
      }
    }
    sigset_t own;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &own);
    return sigismember(&own, SIGINT) == 0 ? 0 : 4;
  });
  CHECK(status == 0);
  CHECK(in_child([&] {
          ::setenv("TENSORD_COPY_THREADS", "1", 1);
          daemon.connect().put<float>("a/y", values);
          return copy_threads().empty() ? 0 : 1;
        }) == 0);
}

TEST_CASE("a segment takes one descriptor, however it is attached", "[client]") {
  const DaemonProcess daemon;
  CHECK(in_child([&] {
          const Store store = daemon.connect();
          const std::size_t before = open_descriptors();
          const View view = store.put<float>("a/x", numbers(6));
          const auto own = view.map_private();
          return open_descriptors() == before + 1 ? 0 : 1;
        }) == 0);
}
