// Copies: the ways of copying that put is held against. They share no code with the library's own, whose
// choice among such ways is what is measured.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>

#include <boost/interprocess/mapped_region.hpp>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "measure.hpp"
#include "os/memfd.hpp"
#include "os/pages.hpp"

namespace tensord::bench {

// Stores past the cache. REQUIRES: both aligned to 16 bytes, a multiple of 64 bytes.
inline void copy_past_cache(std::byte* destination, const std::byte* source, std::size_t size_bytes) {
#if defined(__SSE2__)
  for (std::size_t offset = 0; offset < size_bytes; offset += 64) {
    const auto* from = reinterpret_cast<const __m128i*>(source + offset);
    auto* to = reinterpret_cast<__m128i*>(destination + offset);
    for (int i = 0; i < 4; ++i) _mm_stream_si128(to + i, _mm_load_si128(from + i));
  }
  _mm_sfence();
#else
  std::memcpy(destination, source, size_bytes);
#endif
}

// A second thread that waits for its half of a copy, asleep as a worker is that has nothing to do.
class Helper {
 public:
  Helper() : thread_([this] { serve(); }) {}
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() {
    begin([this] { ending_ = true; });
    thread_.join();
  }
  void begin(std::function<void()> work) {
    work_ = std::move(work);
    begun_.fetch_add(1, std::memory_order_release);
    begun_.notify_one();
  }
  void await() const {
    while (done_.load(std::memory_order_acquire) != begun_.load(std::memory_order_relaxed)) ::sched_yield();
  }

 private:
  void serve() {
    for (std::uint32_t turn = 0; !ending_; ++turn) {
      begun_.wait(turn, std::memory_order_acquire);
      work_();
      done_.store(turn + 1, std::memory_order_release);
    }
  }

  std::function<void()> work_;
  std::atomic<std::uint32_t> begun_{0}, done_{0};
  bool ending_ = false;
  std::thread thread_;
};

// In two halves. REQUIRES: as copy_past_cache, for each half.
inline void copy_with_helper(Helper& helper, std::byte* destination, const std::byte* source,
                             std::size_t size_bytes) {
  const std::size_t half = size_bytes / 128 * 64;
  helper.begin([=] { copy_past_cache(destination + half, source + half, size_bytes - half); });
  copy_past_cache(destination, source, half);
  helper.await();
}

// Shared memory that is there, mapped and touched, on huge pages where the kernel grants some: the store gets
// them, too.
inline boost::interprocess::mapped_region warm_shared_memory(std::size_t size_bytes) {
  const os::Memfd memory = os::Memfd::create("tensord-bench", size_bytes);
  boost::interprocess::mapped_region region = os::map(memory, boost::interprocess::read_write);
  os::make_huge({static_cast<std::byte*>(region.get_address()), region.get_size()});
  std::memset(region.get_address(), 0, region.get_size());
  return region;
}

// Two ranges of it, written in turn: replace takes a new place before it gives up the old one, so put too
// goes back and forth between two.
class WarmMemory {
 public:
  explicit WarmMemory(std::size_t size_bytes)
      : size_bytes_(size_bytes), region_(warm_shared_memory(2 * size_bytes)) {}
  std::byte* next() {
    second_ = !second_;
    return static_cast<std::byte*>(region_.get_address()) + (second_ ? size_bytes_ : 0);
  }

 private:
  std::size_t size_bytes_;
  boost::interprocess::mapped_region region_;
  bool second_ = false;
};

// A memfd that has no memory yet, given some by one way of copying into it.
class FreshMemory {
 public:
  explicit FreshMemory(std::size_t size_bytes) : memory_(os::Memfd::create("tensord-bench", size_bytes)) {}
  void touch_and_memcpy(const std::byte* source) {
    std::byte* const destination = map();
    for (std::size_t offset = 0; offset < region_.get_size(); offset += 4096) destination[offset] = {};
    std::memcpy(destination, source, region_.get_size());
  }
  void write(const std::byte* source) {
    for (std::size_t done = 0; done < memory_.size_bytes();) {
      const ssize_t wrote =
          ::pwrite(memory_.fd(), source + done, memory_.size_bytes() - done, static_cast<off_t>(done));
      if (wrote <= 0) throw std::runtime_error("pwrite failed");
      done += static_cast<std::size_t>(wrote);
    }
    map();
  }
  void populate_and_copy(const std::byte* source) {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
    std::byte* const destination = map();
    if (::madvise(destination, region_.get_size(), kPopulateWrite) != 0)
      std::memset(destination, 0, region_.get_size());
    std::memcpy(destination, source, region_.get_size());
  }
  void make_huge_and_copy(const std::byte* source) {
    std::byte* const destination = map();
    os::make_huge({destination, region_.get_size()});
    copy_past_cache(destination, source, region_.get_size());
  }

 private:
  std::byte* map() {
    region_ = os::map(memory_, boost::interprocess::read_write);
    return static_cast<std::byte*>(region_.get_address());
  }

  os::Memfd memory_;
  boost::interprocess::mapped_region region_;
};

}  // namespace tensord::bench
