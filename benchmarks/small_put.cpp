// What does a small tensor under a new name cost: one after the other, to a daemon that sleeps, many at once?
//
// Whoever asks somebody who sleeps waits for one wake-up at least; that is the floor of the second question.
// The first has none but the copy, which is nothing.
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "os/futex.hpp"
#include "partner.hpp"

namespace {

using namespace tensord;
using bench::Role;

constexpr std::size_t kElements = 1024;  // 4 KiB
// Long enough that a daemon that stays awake for a while after work sleeps again.
constexpr std::chrono::milliseconds kPause{3};

class Names {
 public:
  const std::string& next() { return names_.emplace_back("bench/" + std::to_string(serial_++)); }
  void remove_all(const Store& store) {
    for (const std::string& name : names_) store.remove(name);
    names_.clear();
  }

 private:
  std::uint64_t serial_ = 0;
  std::vector<std::string> names_;
};

void measure_in_a_row(const test::DaemonProcess& daemon) {
  const Store store = daemon.connect();
  constexpr std::size_t kOperations = 200;
  const std::vector<float> elements(kElements, 1.0f);
  std::vector<float> copy(kElements);
  Names names;
  bench::compare(
      "put 4 KiB under a new name, in a row", {}, 31,
      {{"tensord: put", Role::kOurs, kOperations,
        bench::times(kOperations, [&] { store.put(names.next(), std::span<const float>(elements)); }),
        [&] { names.remove_all(store); }},
       {"memcpy", Role::kAside, kOperations, bench::times(kOperations, [&] {
          copy = elements;
          bench::keep(copy.data());
        })}});
}

// One wake-up of a process that sleeps. Who wakes it either spins until it is awake, as a client does that
// expects its answer soon, or sleeps at once: then the kernel may run the other on the very same core, which
// saves an interrupt to one that is halted, and costs a second wake-up for the answer.
class Sleeper {
 public:
  std::int64_t wake(char how, bool spin) {
    words_->awake_at_ns.store(0);
    process_.tell(how);
    std::this_thread::sleep_for(kPause);
    const std::int64_t begin = bench::now_ns();
    if (how == 'f') {
      words_->futex.store(1);
      os::futex_wake_all(&words_->futex);
    } else {
      ::eventfd_write(event_, 1);
    }
    while (spin && words_->awake_at_ns.load() == 0) __builtin_ia32_pause();
    return process_.answer() - begin;
  }

 private:
  struct Words {
    std::atomic<std::uint32_t> futex;
    std::atomic<std::int64_t> awake_at_ns;
  };

  std::int64_t sleep(char how) const {
    if (how == 'f') {
      while (words_->futex.load() == 0) os::futex_wait(&words_->futex, 0, std::chrono::seconds(1));
      words_->futex.store(0);
    } else {
      std::uint64_t value = 0;
      if (::read(event_, &value, sizeof value) != sizeof value) throw std::runtime_error("read failed");
    }
    const std::int64_t now_ns = bench::now_ns();
    words_->awake_at_ns.store(now_ns);
    return now_ns;
  }

  bench::Shared<Words> words_;
  const int event_ = ::eventfd(0, EFD_CLOEXEC);
  bench::Partner process_{[this] { return [this](char how) { return sleep(how); }; }};
};

void measure_after_a_pause(const test::DaemonProcess& daemon) {
  Sleeper sleeper;
  const Store store = daemon.connect();
  const std::vector<float> elements(kElements, 1.0f);
  Names names;
  bench::compare("put 4 KiB under a new name, after a pause", {{"pause ms", kPause.count()}}, 61,
                 {{"tensord: put",
                   Role::kOurs,
                   1,
                   {},
                   [&] { names.remove_all(store); },
                   [&] {
                     const std::string& name = names.next();
                     std::this_thread::sleep_for(kPause);
                     const std::int64_t begin = bench::now_ns();
                     store.put(name, std::span<const float>(elements));
                     return bench::now_ns() - begin;
                   }},
                  {"one wake-up: futex", Role::kFloor, 1, {}, {}, [&] { return sleeper.wake('f', true); }},
                  {"one wake-up: eventfd", Role::kFloor, 1, {}, {}, [&] { return sleeper.wake('e', true); }},
                  {"futex, by one who sleeps at once",
                   Role::kAside,
                   1,
                   {},
                   {},
                   [&] { return sleeper.wake('f', false); }},
                  {"eventfd, by one who sleeps at once", Role::kAside, 1, {}, {}, [&] {
                     return sleeper.wake('e', false);
                   }}});
}

void measure_many(const test::DaemonProcess& daemon) {
  const Store store = daemon.connect();
  constexpr std::size_t kTensors = 1'000;
  const std::int64_t length = kElements;
  const std::vector<float> elements(kElements, 1.0f);
  std::vector<std::vector<float>> copies(kTensors, elements);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kTensors; ++i) names.push_back("bench/many." + std::to_string(i));
  std::vector<PutItem> items;
  for (const std::string& name : names)
    items.push_back({name, {.dtype = kFloat32, .shape = {&length, 1}, .data = elements.data()}});
  bench::compare("put_many of 4 KiB", {{"tensors", kTensors}}, 21,
                 {{"tensord: put_many", Role::kOurs, kTensors, [&] { (void)store.put_many(items); },
                   [&] {
                     for (const std::string& name : names) store.remove(name);
                   }},
                  {"memcpy", Role::kAside, kTensors, [&] {
                     for (std::vector<float>& copy : copies) copy = elements;
                   }}});
}

void measure_all() {
  const test::DaemonProcess daemon;
  measure_in_a_row(daemon);
  measure_after_a_pause(daemon);
  measure_many(daemon);
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "small_put", measure_all); }
