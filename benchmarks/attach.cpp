// How long does attach by name take, and how does it grow with the number of tensors?
//
// One operation is attach and detach of one name. A round goes over the names in use in an order that
// no prefetcher guesses. With all of 65,536 in use nearly every operation meets cold cache lines and
// pages: an index entry, then a slot. A job that attaches again and again to the thousand tensors it
// works on does not, however many others there are.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "shm/name_hash.hpp"

namespace {

using namespace tensord;
using bench::Role;

constexpr int kRounds = 41;

// Two steps cannot be left out of a pin that survives a crash: say that you look, and take it back.
// This is those two on a table of counters and the hash of the name, with no catalog to look into.
class PinFloor {
 public:
  explicit PinFloor(std::size_t names) {
    std::size_t capacity = 1;
    while (capacity < names) capacity *= 2;
    mask_ = capacity - 1;
    counters_ = std::make_unique<std::atomic<std::uint32_t>[]>(capacity);
  }
  void pin_and_unpin(std::string_view name) {
    std::atomic<std::uint32_t>& counter = counters_[shm::name_hash(name, 1) & mask_];
    bench::keep(counter.fetch_add(1, std::memory_order_seq_cst));
    bench::keep(counter.fetch_sub(1, std::memory_order_seq_cst));
  }

 private:
  std::uint64_t mask_ = 0;
  std::unique_ptr<std::atomic<std::uint32_t>[]> counters_;
};

// A shared-memory object of the kernel's, found by name and mapped: attach without a daemon.
void attach_posix(const char* name) {
  const int fd = ::shm_open(name, O_RDONLY, 0);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0) throw std::runtime_error("shm_open failed");
  const auto size_bytes = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  bench::keep(address);
  ::munmap(address, size_bytes);
}

void measure(const Store& store, std::size_t tensors, const std::vector<std::string>& in_random_order,
             const std::string& posix_name) {
  // Enough operations that reading the clock is nothing.
  constexpr std::size_t kMinOperations = 20'000;
  const std::size_t passes = std::max<std::size_t>(1, kMinOperations / in_random_order.size());
  const std::size_t operations = passes * in_random_order.size();
  const auto over_all = [&](auto&& operation) {
    return [&in_random_order, passes, operation] {
      for (std::size_t pass = 0; pass < passes; ++pass) {
        for (const std::string& name : in_random_order) operation(name);
      }
    };
  };

  PinFloor pin_floor(in_random_order.size());
  std::atomic<std::uint32_t> counter{0};
  constexpr std::size_t kPosixOperations = 200;
  bench::compare("attach", {{"tensors", tensors}, {"in use", in_random_order.size()}}, kRounds,
                 {{"tensord: attach, detach", Role::kOurs, operations,
                   over_all([&](const std::string& name) { bench::keep(store.attach(name).data()); })},
                  {"one fetch_add", Role::kFloor, operations, over_all([&](const std::string&) {
                     bench::keep(counter.fetch_add(1, std::memory_order_seq_cst));
                   })},
                  {"hash, fetch_add, fetch_sub", Role::kFloor, operations,
                   over_all([&](const std::string& name) { pin_floor.pin_and_unpin(name); })},
                  {"shm_open, mmap, munmap", Role::kPeer, kPosixOperations, [&] {
                     for (std::size_t i = 0; i < kPosixOperations; ++i) attach_posix(posix_name.c_str());
                   }}});
}

void measure_all() {
  const test::DaemonProcess daemon;  // as it is started by default, so 65,536 tensors fill it
  const Store store = daemon.connect();
  std::vector<std::string> names;
  std::mt19937_64 random(1);

  const std::string posix_name = "/tensord-bench-" + std::to_string(::getpid());
  const int fd = ::shm_open(posix_name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  const std::vector<float> elements(16, 1.0f);
  if (fd < 0 || ::ftruncate(fd, 4096) != 0) throw std::runtime_error("shm_open failed");
  try {
    const auto measure_with = [&](std::size_t tensors, std::size_t in_use) {
      while (names.size() < tensors) {
        names.push_back("bench/layer." + std::to_string(names.size()) + ".weight");
        store.put(names.back(), std::span<const float>(elements));
      }
      std::vector<std::string> shuffled = names;
      std::shuffle(shuffled.begin(), shuffled.end(), random);
      // Copied, so that the strings' own bytes lie in the order in which they are read.
      measure(store, tensors, std::vector<std::string>(shuffled.begin(), shuffled.begin() + in_use),
              posix_name);
    };
    measure_with(1, 1);
    measure_with(1'000, 1'000);
    measure_with(65'536, 1'000);
    measure_with(65'536, 65'536);
  } catch (...) {
    ::shm_unlink(posix_name.c_str());
    throw;
  }
  ::shm_unlink(posix_name.c_str());
}

}  // namespace

int main() {
  try {
    measure_all();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "attach: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
