// What does put cost beyond the copy that it is?
//
// The store recycles memory, so a tensor usually lands on pages that are there already; the floor is the
// fastest way of copying into warm shared memory. Fresh space is seen from a second daemon, which keeps
// nothing warm; its floor is the fastest way of filling shared memory that is made for it.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tensord/tensord.hpp>

#include "copies.hpp"
#include "daemon_process.hpp"
#include "measure.hpp"

namespace {

using namespace tensord;
using bench::kGiB, bench::kKiB, bench::kMiB;
using bench::Role;

// A tensor as large as this has a segment of its own, which goes with it where nothing is kept warm.
constexpr std::size_t kOwnSegmentBytes = 64 * kMiB;

// Private memory that is there, aligned as large arrays are.
class Source {
 public:
  explicit Source(std::size_t size_bytes)
      : elements_(static_cast<float*>(std::aligned_alloc(64, size_bytes)), &std::free),
        size_(size_bytes / sizeof(float)) {
    std::fill_n(elements_.get(), size_, 1.5f);
  }
  std::span<const float> elements() const { return {elements_.get(), size_}; }
  const std::byte* bytes() const { return std::as_bytes(elements()).data(); }

 private:
  std::unique_ptr<float, decltype(&std::free)> elements_;
  std::size_t size_;
};

// A shared-memory object of the kernel's, made, filled and closed; unlinked with this object.
class PosixObject {
 public:
  PosixObject(std::string name, std::span<const float> elements) : name_(std::move(name)) {
    const int fd = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(elements.size_bytes())) != 0)
      throw std::runtime_error("shm_open failed");
    void* const address = ::mmap(nullptr, elements.size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (address == MAP_FAILED) throw std::runtime_error("mmap failed");
    std::memcpy(address, elements.data(), elements.size_bytes());
    ::munmap(address, elements.size_bytes());
  }
  PosixObject(PosixObject&& other) noexcept : name_(std::exchange(other.name_, {})) {}
  PosixObject& operator=(PosixObject&&) = delete;
  ~PosixObject() {
    if (!name_.empty()) ::shm_unlink(name_.c_str());
  }

 private:
  std::string name_;
};

void measure_recycled(const test::DaemonProcess& daemon, std::size_t size_bytes, std::size_t operations,
                      int rounds) {
  const Source source(size_bytes);
  const Store store = daemon.connect();
  bench::WarmMemory warm(size_bytes);
  bench::Helper helper;
  // Twice, for the two places that put will go back and forth between.
  for (int i = 0; i < 2; ++i) store.put("bench/recycled", source.elements(), {.replace = true});

  std::vector<bench::Way> ways{
      {"tensord: put over the last one", Role::kOurs, operations,
       bench::times(operations, [&] { store.put("bench/recycled", source.elements(), {.replace = true}); })},
      {"memcpy", Role::kFloor, operations,
       bench::times(operations, [&] { bench::keep(std::memcpy(warm.next(), source.bytes(), size_bytes)); })}};
  if (size_bytes >= kMiB) {
    ways.push_back({"non-temporal stores", Role::kFloor, operations, bench::times(operations, [&] {
                      bench::copy_past_cache(warm.next(), source.bytes(), size_bytes);
                    })});
    ways.push_back(
        {"non-temporal stores, two threads", Role::kFloor, operations, bench::times(operations, [&] {
           bench::copy_with_helper(helper, warm.next(), source.bytes(), size_bytes);
         })});
  }
  bench::compare("put", {{"bytes", size_bytes}}, rounds, ways);
  store.remove("bench/recycled");
}

void measure_fresh(const test::DaemonProcess& daemon, std::size_t size_bytes, int rounds) {
  const Source source(size_bytes);
  const Store store = daemon.connect();
  std::optional<bench::FreshMemory> fresh;
  std::vector<PosixObject> objects;
  std::size_t puts = 0;

  const auto into_fresh = [&](void (bench::FreshMemory::*copy)(const std::byte*)) {
    return [&, copy] { (fresh.emplace(size_bytes).*copy)(source.bytes()); };
  };
  const auto drop_fresh = [&] { fresh.reset(); };
  const auto drop_ours = [&] {
    // Smaller ones stay where they are, so that the next lands behind them.
    if (size_bytes < kOwnSegmentBytes) return;
    store.remove("bench/fresh" + std::to_string(puts));
    test::eventually([&] { return store.stats().segments == 0; });
  };
  bench::compare(
      "put into fresh space", {{"bytes", size_bytes}}, rounds,
      {{"tensord: put", Role::kOurs, 1,
        [&] { store.put("bench/fresh" + std::to_string(++puts), source.elements()); }, drop_ours},
       {"touch, memcpy", Role::kFloor, 1, into_fresh(&bench::FreshMemory::touch_and_memcpy), drop_fresh},
       {"pwrite", Role::kFloor, 1, into_fresh(&bench::FreshMemory::write), drop_fresh},
       {"populate, memcpy", Role::kFloor, 1, into_fresh(&bench::FreshMemory::populate_and_copy), drop_fresh},
       {"huge pages, non-temporal stores", Role::kFloor, 1,
        into_fresh(&bench::FreshMemory::make_huge_and_copy), drop_fresh},
       {"shm_open, mmap, memcpy", Role::kPeer, 1,
        [&] { objects.emplace_back("/tensord-bench-" + std::to_string(::getpid()), source.elements()); },
        [&] { objects.clear(); }}});
}

bool memory_for_a_gigabyte() {
  // The source, twice the size for the floor and for the store, once for each of the others.
  const auto free_bytes = static_cast<std::size_t>(::sysconf(_SC_AVPHYS_PAGES)) *
                          static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return free_bytes > 8 * kGiB;
}

void measure_all() {
  const test::DaemonProcess recycling({"--keep-warm", "2GiB", "--max-bytes", "6GiB"});
  const test::DaemonProcess forgetting({"--keep-warm", "0", "--max-bytes", "6GiB"});
  // As many in a row as fit into 10 ms: after the floors' turns the first one wakes the daemon.
  measure_recycled(recycling, 64, 2000, 21);
  measure_recycled(recycling, kKiB, 2000, 21);
  measure_recycled(recycling, 4 * kKiB, 2000, 21);
  measure_recycled(recycling, 16 * kKiB, 2000, 21);
  measure_recycled(recycling, 256 * kKiB, 800, 21);
  measure_recycled(recycling, kMiB, 200, 41);
  measure_fresh(forgetting, kMiB, 21);
  if (bench::small()) return;
  measure_recycled(recycling, 4 * kMiB, 40, 21);
  measure_recycled(recycling, 16 * kMiB, 10, 21);
  measure_recycled(recycling, 64 * kMiB, 3, 41);
  // What is put there into segments that are shared would keep them.
  const test::DaemonProcess empty({"--keep-warm", "0", "--max-bytes", "6GiB"});
  measure_fresh(empty, 64 * kMiB, 21);
  measure_recycled(recycling, 256 * kMiB, 1, 15);
  if (!memory_for_a_gigabyte()) throw std::runtime_error("the part with 1 GiB needs 8 GiB of free memory");
  measure_recycled(recycling, kGiB, 1, 9);
  measure_fresh(empty, kGiB, 5);
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "put", measure_all); }
