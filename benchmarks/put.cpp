// What does put cost beyond the copy that it is?
//
// The store recycles memory, so a tensor usually lands on pages that are there already; the floor
// is the same copy into a warm shared mapping. How much the first touch of new pages costs is seen
// from a second daemon, which keeps nothing warm, and from a shared-memory object made anew.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>
#include <tensord/tensord.hpp>

#include "client/copy.hpp"
#include "daemon_process.hpp"
#include "measure.hpp"
#include "os/memfd.hpp"

namespace {

using namespace tensord;
using bench::Role;

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

// Two ranges of a memfd, written in turn: replace takes a new place before it gives up the old
// one, so put too goes back and forth between two.
class WarmMemory {
 public:
  explicit WarmMemory(std::size_t size_bytes)
      : size_bytes_(size_bytes),
        region_(os::Memfd::create("tensord-bench", 2 * size_bytes), boost::interprocess::read_write) {
    std::memset(region_.get_address(), 1, region_.get_size());
  }
  std::byte* next() {
    second_ = !second_;
    return static_cast<std::byte*>(region_.get_address()) + (second_ ? size_bytes_ : 0);
  }

 private:
  std::size_t size_bytes_;
  boost::interprocess::mapped_region region_;
  bool second_ = false;
};

// A shared-memory object of the kernel's, made, filled and closed; unlinked with this object.
class PosixObject {
 public:
  PosixObject(std::string name, std::span<const std::byte> bytes) : name_(std::move(name)) {
    const int fd = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes.size())) != 0)
      throw std::runtime_error("shm_open failed");
    void* const address = ::mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (address == MAP_FAILED) throw std::runtime_error("mmap failed");
    std::memcpy(address, bytes.data(), bytes.size());
    ::munmap(address, bytes.size());
  }
  PosixObject(PosixObject&& other) noexcept : name_(std::exchange(other.name_, {})) {}
  PosixObject& operator=(PosixObject&&) = delete;
  ~PosixObject() {
    if (!name_.empty()) ::shm_unlink(name_.c_str());
  }

 private:
  std::string name_;
};

void measure(const test::DaemonProcess& recycling, const test::DaemonProcess& forgetting,
             std::size_t size_bytes, std::size_t operations, int rounds) {
  // A tensor as large as this has a segment of its own, which goes with it where nothing is kept warm.
  constexpr std::size_t kOwnSegmentBytes = 64 * kMiB;

  const std::vector<float> source(size_bytes / sizeof(float), 1.5f);
  const std::span<const float> elements(source);
  const auto bytes = std::as_bytes(elements);
  const Store store = recycling.connect();
  const Store cold_store = forgetting.connect();
  WarmMemory warm(size_bytes);
  std::vector<PosixObject> objects;
  // Twice, for the two places that put will go back and forth between.
  for (int i = 0; i < 2; ++i) store.put("bench/recycled", elements, {.replace = true});

  const auto times = [operations](auto&& operation) {
    return [operations, operation] {
      for (std::size_t i = 0; i < operations; ++i) operation();
    };
  };
  std::vector<bench::Way> ways{
      {"tensord: put over the last one", Role::kOurs, operations,
       times([&] { store.put("bench/recycled", elements, {.replace = true}); })},
      {"memcpy, warm pages", Role::kFloor, operations,
       times([&] { bench::keep(std::memcpy(warm.next(), bytes.data(), bytes.size())); })},
      {"the copy that put makes, warm pages", Role::kFloor, operations, times([&] {
         std::byte* const destination = warm.next();
         client::copy_bytes(destination, bytes.data(), bytes.size());
         bench::keep(destination);
       })},
      {"shm_open, mmap, memcpy, new pages", Role::kPeer, operations, times([&] {
         objects.emplace_back(
             "/tensord-bench-" + std::to_string(::getpid()) + "-" + std::to_string(objects.size()), bytes);
       }),
       [&] { objects.clear(); }}};
  if (size_bytes >= kOwnSegmentBytes) {
    ways.push_back({"tensord: put, new pages", Role::kOurs, operations,
                    times([&] { cold_store.put("bench/new", elements); }), [&] {
                      cold_store.remove("bench/new");
                      test::eventually([&] { return cold_store.stats().segments == 0; });
                    }});
  }
  bench::compare("put", {{"bytes", size_bytes}}, rounds, ways);
}

bool memory_for_a_gigabyte() {
  // The source, twice the size for the floor and for the store, once for each of the others.
  const auto free_bytes = static_cast<std::size_t>(::sysconf(_SC_AVPHYS_PAGES)) *
                          static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return free_bytes > 8 * kGiB;
}

void measure_all() {
  const test::DaemonProcess recycling({"--keep-warm", "2GiB"});
  const test::DaemonProcess forgetting({"--keep-warm", "0"});
  measure(recycling, forgetting, 4 * kKiB, 100, 31);
  measure(recycling, forgetting, kMiB, 20, 31);
  measure(recycling, forgetting, 64 * kMiB, 1, 61);
  if (memory_for_a_gigabyte()) {
    measure(recycling, forgetting, kGiB, 1, 7);
  } else {
    std::fprintf(stderr, "put: the part with 1 GiB is left out, it needs 8 GiB of free memory\n");
  }
}

}  // namespace

int main() {
  try {
    measure_all();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "put: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
