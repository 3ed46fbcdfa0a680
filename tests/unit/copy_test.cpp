// copy_bytes has to be memcpy, whichever way it takes: around every size where it changes its way, at every
// alignment of both sides, into private memory and into a segment in each state of its pages.
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include "catch.hpp"
#include "client/copy.hpp"
#include "client/page_state.hpp"
#include "client/streaming_copy.hpp"
#include "os/memfd.hpp"
#include "os/pages.hpp"
#include "page_faults.hpp"

using namespace tensord;
using client::PageState;
using Pages = PageState::Pages;

namespace {

constexpr std::size_t kPage = PageState::kPageBytes;
constexpr std::size_t kMiB = std::size_t{1} << 20;

// Bytes without a period that a slice or a page could hide.
std::vector<std::byte> noise(std::size_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  std::uint32_t state = 12345;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

bool all_are(std::span<const std::byte> bytes, std::byte value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte byte) { return byte == value; });
}

// Copies into the middle of bytes that must stay what they were.
template <class Copy>
bool copies_exactly(const Copy& copy, std::span<const std::byte> source, std::size_t to_offset) {
  constexpr std::size_t kMargin = 128;
  constexpr std::byte kUntouched{0xA5};
  std::vector<std::byte> memory(kMargin + to_offset + source.size() + kMargin, kUntouched);
  std::byte* const to = memory.data() + kMargin + to_offset;
  copy(to, source.data(), source.size());
  return std::memcmp(to, source.data(), source.size()) == 0 &&
         all_are({memory.data(), kMargin + to_offset}, kUntouched) &&
         all_are({to + source.size(), kMargin}, kUntouched);
}

// A segment of small pages that this process has not mapped yet, as the daemon reserves one.
struct Segment {
  explicit Segment(std::size_t size_bytes)
      : memfd(reserved(size_bytes)),
        region(os::map(memfd, boost::interprocess::read_write)),
        pages(base(), size_bytes, memfd.fd()) {}

  static os::Memfd reserved(std::size_t size_bytes) {
    os::Memfd memfd = os::Memfd::create("tensord-test", size_bytes);
    memfd.reserve(0, size_bytes);
    return memfd;
  }
  [[nodiscard]] std::byte* base() const { return static_cast<std::byte*>(region.get_address()); }
  void copy(std::size_t offset, std::span<const std::byte> source) {
    client::copy_bytes({base() + offset, &pages}, source.data(), source.size());
  }
  [[nodiscard]] bool holds(std::size_t offset, std::span<const std::byte> bytes) const {
    return std::memcmp(base() + offset, bytes.data(), bytes.size()) == 0;
  }

  os::Memfd memfd;
  boost::interprocess::mapped_region region;
  PageState pages;
};

}  // namespace

TEST_CASE("streaming stores copy every byte and no other, at every alignment", "[copy]") {
  const auto bytes = noise(1024);
  for (const std::size_t size : {0, 1, 15, 16, 63, 64, 65, 127, 128, 200, 640}) {
    for (std::size_t from = 0; from < 64; from += 7) {
      for (std::size_t to = 0; to < 64; ++to) {
        const std::span<const std::byte> source(bytes.data() + from, size);
        if (!copies_exactly(client::copy_streaming, source, to)) {
          FAIL("wrong for " << size << " bytes from " << from << " to " << to);
        }
      }
    }
  }
}

TEST_CASE("copy_bytes is memcpy on both sides of every size where it changes its way", "[copy]") {
  const auto bytes = noise(client::kSharedFillBytes + 4 * kPage);
  const auto copy = [](void* to, const void* from, std::size_t size) { client::copy_bytes(to, from, size); };
  for (const std::size_t threshold : {kPage, client::kSharedCopyBytes, client::kStreamingCopyBytes}) {
    for (const std::size_t size : {threshold - 1, threshold, threshold + 1, threshold + 4097}) {
      CHECK(copies_exactly(copy, {bytes.data(), size}, 0));
      CHECK(copies_exactly(copy, {bytes.data() + 3, size}, 61));
    }
  }
  client::copy_bytes(nullptr, nullptr, 0);  // an empty tensor
}

TEST_CASE("a large copy fills private memory that nobody has touched", "[copy]") {
  const auto bytes = noise(client::kStreamingCopyBytes + 12'345);
  void* const fresh =
      ::mmap(nullptr, bytes.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(fresh != MAP_FAILED);
  client::copy_bytes(fresh, bytes.data(), bytes.size());
  CHECK(std::memcmp(fresh, bytes.data(), bytes.size()) == 0);
  ::munmap(fresh, bytes.size());
}

TEST_CASE("a segment gets the same bytes in every state of its pages", "[copy]") {
  const auto bytes = noise(client::kSharedFillBytes + 2 * kMiB);
  for (const std::size_t size :
       {std::size_t{64}, kPage - 1, kPage, kPage + 1, 5 * kPage + 7, kMiB, client::kSharedCopyBytes - 1,
        client::kSharedCopyBytes, client::kStreamingCopyBytes + 5, client::kSharedFillBytes + 12'345}) {
    for (const std::size_t offset : {std::size_t{0}, std::size_t{64}, 3 * kPage}) {
      Segment segment(offset + size + 2 * kPage);
      for (std::size_t time = 0; time < 4; ++time) {
        const std::span<const std::byte> source(bytes.data() + 11 * time, size);
        segment.copy(offset, source);
        CHECK(segment.holds(offset, source));
        CHECK(all_are({segment.base(), offset}, std::byte{0}));
        CHECK(all_are({segment.base() + offset + size, 2 * kPage}, std::byte{0}));
      }
    }
  }
}

TEST_CASE("pages that nobody wrote are written through the descriptor, then mapped", "[copy]") {
  const auto bytes = noise(64 * kPage);
  Segment segment(4 * kMiB);
  CHECK(segment.pages.of(0, bytes.size()) == Pages::kAbsent);
  segment.copy(kMiB, bytes);
  // Those before and after were not met; what holds for a range is what holds for the worst of its pages.
  CHECK(segment.pages.of(kMiB, bytes.size()) == Pages::kWritten);
  CHECK(segment.pages.of(kMiB - kPage, bytes.size()) == Pages::kAbsent);
  CHECK(segment.pages.of(kMiB + kPage, bytes.size()) == Pages::kAbsent);
  segment.copy(kMiB, bytes);
  CHECK(segment.pages.of(kMiB, bytes.size()) == Pages::kMapped);
  CHECK(segment.holds(kMiB, bytes));
}

TEST_CASE("a descriptor that takes no bytes costs the speed and not the copy", "[copy]") {
  const auto bytes = noise(64 * kPage);
  Segment segment(kMiB);
  PageState pages(segment.base(), kMiB, -1);
  client::copy_bytes({segment.base(), &pages}, bytes.data(), bytes.size());
  CHECK(segment.holds(0, bytes));
}

TEST_CASE("what is known of pages is known of whole ones, and only grows", "[copy]") {
  Segment segment(kMiB);
  PageState& pages = segment.pages;
  pages.set(kPage - 1, 2 * kPage, Pages::kWritten);  // one whole page, and the ends of two
  CHECK(pages.of(kPage, kPage) == Pages::kWritten);
  CHECK(pages.of(0, kPage) == Pages::kAbsent);
  CHECK(pages.of(2 * kPage, kPage) == Pages::kAbsent);
  pages.set(0, 200 * kPage, Pages::kMapped);  // more than a word of bits
  pages.set(0, 200 * kPage, Pages::kWritten);
  CHECK(pages.of(0, 200 * kPage) == Pages::kMapped);
  CHECK(pages.of(0, 201 * kPage) == Pages::kAbsent);
  CHECK(pages.of(10, 100) == Pages::kMapped);  // no whole page: nothing to be said against it
}

TEST_CASE("huge pages are found by their faults, and then count as mapped", "[copy]") {
  if (!os::grants_huge_pages()) {
    WARN("skipped: this kernel gives this process no huge pages");
    return;
  }
  if (!test::kPageFaultsTell) {
    WARN("skipped: under AddressSanitizer page faults tell nothing");
    return;
  }
  const os::Memfd memfd = os::Memfd::create("tensord-test", 3 * os::kHugePageBytes);
  {
    const auto region = os::map(memfd, boost::interprocess::read_write);
    REQUIRE(os::make_huge({static_cast<std::byte*>(region.get_address()), 2 * os::kHugePageBytes}) ==
            2 * os::kHugePageBytes);
  }
  memfd.reserve(0, memfd.size_bytes());
  const auto region = os::map(memfd, boost::interprocess::read_write);
  auto* const base = static_cast<std::byte*>(region.get_address());
  PageState pages(base, region.get_size(), memfd.fd());
  pages.find_huge_pages(kPage, kPage);
  CHECK(pages.of(0, os::kHugePageBytes) == Pages::kMapped);
  CHECK(pages.of(0, os::kHugePageBytes + kPage) == Pages::kAbsent);
  pages.find_huge_pages(0, region.get_size());
  CHECK(pages.of(0, 2 * os::kHugePageBytes) == Pages::kMapped);
  CHECK(pages.of(2 * os::kHugePageBytes, kPage) == Pages::kAbsent);
}
