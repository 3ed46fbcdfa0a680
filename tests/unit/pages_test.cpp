#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <span>
#include <string>

#include "occupied_bytes.hpp"
#include "os/memfd.hpp"
#include "os/pages.hpp"
#include "page_faults.hpp"

using namespace tensord::os;
using namespace tensord::test;
namespace bip = boost::interprocess;

namespace {

std::span<std::byte> bytes_of(const bip::mapped_region& region) {
  return {static_cast<std::byte*>(region.get_address()), region.get_size()};
}

std::uintptr_t address_of(const bip::mapped_region& region) {
  return reinterpret_cast<std::uintptr_t>(region.get_address());
}

std::size_t maps() {
  std::ifstream file("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

}  // namespace

TEST_CASE("a mapping lies as its part of the memfd does, to 2 MiB", "[pages]") {
  const Memfd memfd = Memfd::create("test", 8 * kHugePageBytes);
  for (const std::size_t offset : {std::size_t{0}, kHugePageBytes, std::size_t{4096}, std::size_t{4096 + 64},
                                   kHugePageBytes - 4096, 3 * kHugePageBytes + 8192}) {
    for (const std::size_t size : {kHugePageBytes, kHugePageBytes + 1, 2 * kHugePageBytes + 4095}) {
      const bip::mapped_region region = map(memfd, bip::read_write, offset, size);
      CHECK(address_of(region) % kHugePageBytes == offset % kHugePageBytes);
      CHECK(region.get_size() == size);
      std::memset(region.get_address(), 1, size);
    }
  }
  CHECK(map(memfd, bip::read_only, kHugePageBytes).get_size() == 7 * kHugePageBytes);
}

TEST_CASE("small mappings are mapped, too", "[pages]") {
  const Memfd memfd = Memfd::create("test", kHugePageBytes);
  const bip::mapped_region region = map(memfd, bip::read_write, 64, 1000);
  bytes_of(region)[0] = std::byte{7};
  CHECK(bytes_of(map(memfd, bip::read_only))[64] == std::byte{7});
}

TEST_CASE("a mapping leaves no address space behind when it ends", "[pages]") {
  const Memfd memfd = Memfd::create("test", 4 * kHugePageBytes);
  const std::size_t before = maps();
  {
    const bip::mapped_region one = map(memfd, bip::read_only);
    const bip::mapped_region other = map(memfd, bip::copy_on_write, 4096, 2 * kHugePageBytes);
    CHECK(maps() == before + 2);
  }
  CHECK(maps() == before);
}

TEST_CASE("mapping what is no memfd throws, and leaves no address space behind", "[pages]") {
  const std::size_t before = maps();
  CHECK_THROWS(map(Memfd(), bip::read_only, 0, 2 * kHugePageBytes));
  CHECK(maps() == before);
}

TEST_CASE("making pages huge keeps their bytes, and makes zeroes of holes", "[pages]") {
  const std::size_t size_bytes = 3 * kHugePageBytes + 4096;
  const Memfd memfd = Memfd::create("test", size_bytes);
  const bip::mapped_region region = map(memfd, bip::read_write);
  const auto bytes = bytes_of(region);
  bytes[0] = std::byte{1};
  bytes[kHugePageBytes + 5 * 4096] = std::byte{2};
  bytes[size_bytes - 1] = std::byte{3};

  const std::size_t huge_bytes = make_huge(bytes);
  CHECK(huge_bytes % kHugePageBytes == 0);
  CHECK(huge_bytes <= 3 * kHugePageBytes);  // the rest is no whole one
  if (grants_huge_pages()) {
    CHECK(huge_bytes >= kHugePageBytes);
    CHECK(occupied_bytes(memfd.fd()) >= huge_bytes);
    // Another mapping has one page fault for each, instead of 512, or 32 with the kernel's fault-around.
    const bip::mapped_region again = map(memfd, bip::read_only);
    if (kPageFaultsTell) {
      CHECK(faults_of_touching(bytes_of(again).first(huge_bytes)) <=
            2 * static_cast<long>(huge_bytes / kHugePageBytes));
    }
  }
  std::size_t sum = 0;
  for (const std::byte byte : bytes) sum += static_cast<std::size_t>(byte);
  CHECK(sum == 1 + 2 + 3);
  CHECK(bytes[0] == std::byte{1});
  CHECK(bytes[kHugePageBytes + 5 * 4096] == std::byte{2});
  CHECK(bytes[size_bytes - 1] == std::byte{3});
}

TEST_CASE("memory that cannot be written gets no huge pages, and no harm", "[pages]") {
  const Memfd memfd = Memfd::create("test", 2 * kHugePageBytes);
  const bip::mapped_region region = map(memfd, bip::read_only);
  CHECK(make_huge(bytes_of(region)) == 0);
  CHECK(occupied_bytes(memfd.fd()) == 0);
}

TEST_CASE("populated pages cost no page fault when they are touched", "[pages]") {
  const std::size_t size_bytes = std::size_t{4} << 20;
  const Memfd memfd = Memfd::create("test", size_bytes);
  memfd.reserve(0, size_bytes);
  const bip::mapped_region touched = map(memfd, bip::read_only);
  CHECK(faults_of_touching(bytes_of(touched)) >= 16);  // so there is something to save

  const auto free_once_populated = [&](bip::mode_t mode, auto faults_of) {
    return costs_no_fault([&] {
      const bip::mapped_region region = map(memfd, mode);
      // From the middle of a page to the middle of another: both are whole pages of the tensor's.
      const auto part = bytes_of(region).subspan(4096 + 100, size_bytes / 2);
      populate(part);
      return faults_of(part);
    });
  };
  const auto of_writing = [](std::span<std::byte> part) {
    const long before = page_faults();
    std::memset(part.data(), 1, part.size());
    return page_faults() - before;
  };
  CHECK(free_once_populated(bip::read_only, faults_of_touching));
  CHECK(free_once_populated(bip::read_write, faults_of_touching));
  CHECK(free_once_populated(bip::read_write, of_writing));
  populate({});
}
