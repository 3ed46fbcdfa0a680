// ZeroedMemory: page-aligned bytes that read as zero, like a memfd fresh from the kernel. Pages
// come into being when they are written, so a table for millions of slots costs nothing unused.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>

namespace tensord::test {

class ZeroedMemory {
 public:
  explicit ZeroedMemory(std::size_t size_bytes)
      : size_bytes_(size_bytes),
        start_(::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (start_ == MAP_FAILED) throw std::bad_alloc();
  }
  ZeroedMemory(const ZeroedMemory&) = delete;
  ZeroedMemory& operator=(const ZeroedMemory&) = delete;
  ~ZeroedMemory() { ::munmap(start_, size_bytes_); }

  [[nodiscard]] std::span<std::byte> bytes() { return {static_cast<std::byte*>(start_), size_bytes_}; }

 private:
  std::size_t size_bytes_;
  void* start_;
};

}  // namespace tensord::test
