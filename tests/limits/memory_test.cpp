// The end of the memory: of a memory cgroup that the store is in, where the kernel would kill the daemon; and
// that what is deleted is back with the kernel, by the kernel's own figures.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "memory_cgroup.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::MemoryCgroup;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kLimit = 256 * kMiB;

std::optional<MemoryCgroup> group_or_skip() {
  std::optional<MemoryCgroup> group = MemoryCgroup::make(kLimit);
  if (!group) std::puts("skipped: no memory cgroup can be made here (root, and a writable hierarchy, can)");
  return group;
}

// In place: the client has no copy of its own, which would be charged to the group, too.
void put_block(const Store& store, const std::string& name, std::uint64_t size_bytes, std::uint64_t seed) {
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(size_bytes / sizeof(std::uint64_t))};
  Builder builder = store.build(name, kUInt64, shape);
  std::fill_n(reinterpret_cast<std::uint64_t*>(builder.mutable_data()), shape[0], seed);
  builder.publish();
}

bool holds_block(const Store& store, const std::string& name, std::uint64_t seed) {
  const View view = store.attach(name);
  for (const std::uint64_t value : view.as<std::uint64_t>()) {
    if (value != seed) return false;
  }
  return true;
}

// Puts until it is refused, and says how many there are; -1 if it never is, -2 if the text lacks something.
int fill(const Store& store, std::uint64_t block_bytes) {
  for (int i = 0; i < 200; ++i) {
    try {
      put_block(store, "fill/" + std::to_string(i), block_bytes, static_cast<std::uint64_t>(i));
    } catch (const OutOfSpaceError& error) {
      const std::string text = error.what();
      for (const char* part : {"out of space", "free", "largest range", "limit", "the memory cgroup /"}) {
        if (text.find(part) == std::string::npos) {
          std::fprintf(stderr, "no '%s' in: %s\n", part, error.what());
          return -2;
        }
      }
      std::printf("%d blocks, then: %s\n", i, error.what());
      std::fflush(stdout);  // this process ends by _exit
      return i;
    }
  }
  return -1;
}

std::uint64_t kernel_shmem_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib && std::getline(file, unit);) {
    if (key == "Shmem:") return kib * 1024;
  }
  return 0;
}

}  // namespace

TEST_CASE("at the limit of a memory cgroup a store refuses with figures, and nobody is killed", "[limits]") {
  const std::string reserve = GENERATE("ahead", "on-demand");
  const std::uint64_t block_bytes = GENERATE(std::uint64_t{256} << 10, 8 * kMiB, 60 * kMiB);
  INFO(reserve << ", blocks of " << block_bytes);
  std::optional<MemoryCgroup> group = group_or_skip();
  if (!group) return;
  const DaemonProcess daemon({"--max-bytes", "64GiB", "--reserve", reserve, "--keep-warm", "64MiB"});
  const Store store = daemon.connect();
  REQUIRE(group->enter(daemon.pid()));

  // The client is in the group, too: it may be killed as well as the daemon.
  const int status = in_child([&] {
    if (!group->enter(::getpid())) return 10;
    const Store mine = daemon.connect();
    const int blocks = block_bytes < kMiB ? fill(mine, 8 * kMiB) : 0;  // few small ones at the end
    if (blocks < 0) return 11;
    const std::string prefix = blocks > 0 ? "small" : "fill";
    int count = 0;
    if (blocks == 0) {
      count = fill(mine, block_bytes);
    } else {
      try {
        for (; count < 2'000; ++count) put_block(mine, prefix + "/" + std::to_string(count), block_bytes, 7);
      } catch (const OutOfSpaceError&) {
      }
      if (count == 2'000) return 12;
    }
    if (count < 0) return 13;
    try {
      put_block(mine, "far/too/large", kLimit, 1);
      return 14;
    } catch (const OutOfSpaceError&) {
    }
    // All that was promised is there and whole.
    for (int i = 0; i < blocks; ++i) {
      if (!holds_block(mine, "fill/" + std::to_string(i), static_cast<std::uint64_t>(i))) return 15;
    }
    for (int i = 0; i < count; ++i) {
      if (!holds_block(mine, prefix + "/" + std::to_string(i),
                       blocks > 0 ? 7 : static_cast<std::uint64_t>(i))) {
        return 16;
      }
    }
    return 0;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(daemon.running());
  CHECK(group->killed() == 0);
  CHECK(store.stats().used_bytes > kLimit / 2);  // it was not refused out of mere caution

  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return store.stats().used_bytes == 0; }));
  CHECK(eventually([&] { return group->stat("shmem") <= 65 * kMiB; }));  // --keep-warm, and the catalog
  // And there is room again, for another namespace, too, for which the warm memory has to go.
  put_block(store, "another/one", 150 * kMiB, 3);
  CHECK(holds_block(store, "another/one", 3));
  CHECK(group->killed() == 0);
}

TEST_CASE("what is deleted is back with the kernel, by its own figures", "[limits]") {
  const std::string reserve = GENERATE("ahead", "on-demand");
  INFO(reserve);
  constexpr std::uint64_t kBlock = 64 * kMiB, kBlocks = 8;
  const std::optional<MemoryCgroup> group = MemoryCgroup::make(4096 * kMiB);  // goes after the daemon
  const DaemonProcess daemon({"--max-bytes", "4GiB", "--reserve", reserve, "--keep-warm", "0"});
  const Store store = daemon.connect();
  const auto put_all = [&] {
    for (std::uint64_t i = 0; i < kBlocks; ++i) put_block(store, "a/" + std::to_string(i), kBlock, i);
  };
  // Other programs of the machine use shared memory, too: half of the difference is enough to be sure.
  const std::uint64_t before = kernel_shmem_bytes();
  put_all();
  const std::uint64_t full = kernel_shmem_bytes();
  CHECK(full > before + kBlocks * kBlock / 2);

  View held = store.attach("a/3");
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return store.stats().reserved_bytes <= 2 * kBlock; }));
  CHECK(held.as<std::uint64_t>().front() == 3);  // all but what somebody looks at
  CHECK(eventually([&] { return kernel_shmem_bytes() < full - kBlocks * kBlock / 2; }));
  held.reset();
  CHECK(eventually([&] { return store.stats().reserved_bytes == 0; }));

  // Exactly, where nobody else is counted.
  if (!group) return;
  REQUIRE(group->enter(daemon.pid()));
  put_all();
  CHECK(group->stat("shmem") >= kBlocks * kBlock);
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return group->stat("shmem") < kMiB; }));
}
