// MADV_COLLAPSE (Linux 6.1) is the one way to huge pages that asks no administrator: it works whatever
// shmem_enabled says, but for "deny". It wants at least one page in each 2 MiB, so one is put there first;
// under "advise" or "always" that one is huge already, and there is nothing left to collapse.
// docs/decisions/huge-pages.md.
#include "os/pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#ifndef MADV_POPULATE_READ  // Linux 5.14
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE  // Linux 6.1; glibc 2.36 does not know it yet
#define MADV_COLLAPSE 25
#endif

namespace tensord::os {
namespace {

namespace bip = boost::interprocess;

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::uintptr_t round_up(std::uintptr_t address, std::size_t unit) {
  return (address + unit - 1) / unit * unit;
}

// Address space of which nothing but one part is wanted, and that part at a place of our choice.
class Reservation {
 public:
  explicit Reservation(std::size_t size_bytes) : size_bytes_(size_bytes) {
    base_ = ::mmap(nullptr, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "reserving address space");
    }
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() { unmap(address(), size_bytes_); }

  [[nodiscard]] std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(base_); }
  // Somebody else's mapping is there now; the rest goes.
  void hand_over(std::uintptr_t from, std::size_t size_bytes) {
    const std::uintptr_t end = address() + size_bytes_;
    unmap(address(), from - address());
    unmap(from + size_bytes, end - (from + size_bytes));
    size_bytes_ = 0;
  }

 private:
  static void unmap(std::uintptr_t address, std::size_t size_bytes) {
    if (size_bytes > 0) ::munmap(reinterpret_cast<void*>(address), size_bytes);
  }
  void* base_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace

bip::mapped_region map(const Memfd& memfd, bip::mode_t mode, std::size_t offset_bytes,
                       std::size_t size_bytes) {
  if (size_bytes == 0) size_bytes = memfd.size_bytes() - offset_bytes;
  const auto offset = static_cast<bip::offset_t>(offset_bytes);
  if (size_bytes < kHugePageBytes) return bip::mapped_region(memfd, mode, offset, size_bytes);

  const std::size_t in_page = offset_bytes % page_bytes();
  const std::size_t mapped_bytes = round_up(in_page + size_bytes, page_bytes());
  Reservation reservation(mapped_bytes + kHugePageBytes);
  const std::size_t wanted = offset_bytes % kHugePageBytes - in_page;
  std::uintptr_t start = round_up(reservation.address(), kHugePageBytes) + wanted;
  if (start - kHugePageBytes >= reservation.address()) start -= kHugePageBytes;
  bip::mapped_region region(memfd, mode, offset, size_bytes, reinterpret_cast<const void*>(start + in_page),
                            MAP_FIXED);
  reservation.hand_over(start, mapped_bytes);
  return region;
}

std::size_t make_huge(std::span<std::byte> memory) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::uintptr_t first = round_up(begin, kHugePageBytes);
  std::uintptr_t piece = first;
  for (; piece + kHugePageBytes <= begin + memory.size(); piece += kHugePageBytes) {
    void* const start = reinterpret_cast<void*>(piece);
    ::madvise(start, kHugePageBytes, MADV_HUGEPAGE);
    if (::madvise(start, page_bytes(), MADV_POPULATE_WRITE) != 0) break;
    if (::madvise(start, kHugePageBytes, MADV_COLLAPSE) != 0) break;
  }
  return piece - first;
}

bool grants_huge_pages() noexcept {
  try {
    const Memfd memfd = Memfd::create("tensord-probe", kHugePageBytes);
    const bip::mapped_region region = map(memfd, bip::read_write);
    return make_huge({static_cast<std::byte*>(region.get_address()), region.get_size()}) > 0;
  } catch (...) {
    return false;
  }
}

void populate(std::span<const std::byte> memory) noexcept {
  if (memory.empty()) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data()) / page_bytes() * page_bytes();
  const std::uintptr_t end =
      round_up(reinterpret_cast<std::uintptr_t>(memory.data()) + memory.size(), page_bytes());
  // READ for writable mappings, too: pages of shared memory come writable, and several at a time.
  if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0 || errno != EINVAL) {
    return;
  }
  for (std::uintptr_t page = begin; page < end; page += page_bytes()) {
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(page));
  }
}

}  // namespace tensord::os
