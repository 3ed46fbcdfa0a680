// What the kernel would show of machines that this one is not, as files in a folder.
#include "system_memory.hpp"

#include <string>

#include "catch.hpp"
#include "fake_machine.hpp"

using namespace tensord::daemon;
using tensord::test::FakeMachine;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

constexpr const char* kUnifiedMount =
    "30 1 0:1 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

std::uint64_t kept(std::uint64_t limit) { return SystemMemory::kept_free_bytes(limit); }

}  // namespace

TEST_CASE("without a cgroup the machine's available memory counts, and its swap space", "[system_memory]") {
  const FakeMachine machine;
  CHECK(SystemMemory(machine.root()).limit_bytes() == 16 * kGiB);
  CHECK(SystemMemory(machine.root()).room().free_bytes == 8 * kGiB - kept(16 * kGiB));
  CHECK(SystemMemory(machine.root()).room().of == "the machine");
  machine.has_available(1 * kGiB, 2 * kGiB);
  CHECK(SystemMemory(machine.root()).room().free_bytes == 3 * kGiB - kept(16 * kGiB));
}

TEST_CASE("a machine that says nothing has no limit", "[system_memory]") {
  const FakeMachine machine;
  machine.write("proc/meminfo", "");
  CHECK(SystemMemory(machine.root()).room().free_bytes == UINT64_MAX);
}

TEST_CASE("what is nearly taken has no room, rather than a very large one", "[system_memory]") {
  const FakeMachine machine;
  machine.has_available(4096);
  CHECK(SystemMemory(machine.root()).room().free_bytes == 0);
}

TEST_CASE("the tightest group above the process counts, in the unified hierarchy", "[system_memory]") {
  const FakeMachine machine;
  machine.write("proc/self/mountinfo", kUnifiedMount);
  machine.write("proc/self/cgroup", "0::/outer/inner\n");
  machine.write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  machine.write("sys/fs/cgroup/outer/inner/memory.current", 300 * kMiB);
  CHECK(SystemMemory(machine.root()).room().of == "the machine");

  machine.write("sys/fs/cgroup/outer/memory.max", kGiB);
  machine.write("sys/fs/cgroup/outer/memory.current", 900 * kMiB);
  machine.write("sys/fs/cgroup/outer/memory.swap.max", std::uint64_t{0});
  machine.write("sys/fs/cgroup/outer/memory.stat",
                "anon 5\ninactive_file " + std::to_string(200 * kMiB) + "\nactive_file 0\nshmem 77\n");
  const MemoryRoom room = SystemMemory(machine.root()).room();
  CHECK(room.of == "the memory cgroup /outer");
  CHECK(room.limit_bytes == kGiB);
  CHECK(room.free_bytes == (1024 - 900 + 200) * kMiB - kept(kGiB));  // the page cache counts as free
  CHECK(SystemMemory(machine.root()).limit_bytes() == kGiB);

  // Who is above `high` is throttled.
  machine.write("sys/fs/cgroup/outer/memory.high", 950 * kMiB);
  CHECK(SystemMemory(machine.root()).room().free_bytes == (950 - 900 + 200) * kMiB - kept(950 * kMiB));
}

TEST_CASE("a group may use as much swap space as it may, and as there is", "[system_memory]") {
  const FakeMachine machine;
  machine.has_available(8 * kGiB, 100 * kMiB);
  machine.write("proc/self/mountinfo", kUnifiedMount);
  machine.write("proc/self/cgroup", "0::/\n");
  machine.write("sys/fs/cgroup/memory.max", kGiB);
  machine.write("sys/fs/cgroup/memory.current", 900 * kMiB);
  machine.write("sys/fs/cgroup/memory.swap.max", "max\n");
  CHECK(SystemMemory(machine.root()).room().free_bytes == (1024 - 900 + 100) * kMiB - kept(kGiB));
  machine.write("sys/fs/cgroup/memory.swap.max", 30 * kMiB);
  machine.write("sys/fs/cgroup/memory.swap.current", 20 * kMiB);
  CHECK(SystemMemory(machine.root()).room().free_bytes == (1024 - 900 + 10) * kMiB - kept(kGiB));
}

TEST_CASE("the old hierarchy is read, too, and where both are mounted the one with memory",
          "[system_memory]") {
  const FakeMachine machine;
  machine.write("proc/self/mountinfo",
                "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
                "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  machine.write("proc/self/cgroup", "4:memory:/box\n1:cpu:/elsewhere\n0::/\n");
  machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  machine.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", 512 * kMiB);
  machine.write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", 100 * kMiB);
  machine.write(
      "sys/fs/cgroup/memory/box/memory.stat",
      "inactive_file 1\ntotal_inactive_file " + std::to_string(10 * kMiB) + "\ntotal_active_file 0\n");
  const MemoryRoom room = SystemMemory(machine.root()).room();
  CHECK(room.of == "the memory cgroup /box");
  CHECK(room.free_bytes == (512 - 100 + 10) * kMiB - kept(512 * kMiB));
}

TEST_CASE("a container that sees its own part of a hierarchy finds its group there", "[system_memory]") {
  const FakeMachine machine;
  machine.write("proc/self/mountinfo",
                "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
  machine.write("proc/self/cgroup", "4:memory:/docker/a\n");
  machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", 64 * kMiB);
  machine.write("sys/fs/cgroup/memory/memory.usage_in_bytes", 10 * kMiB);
  CHECK(SystemMemory(machine.root()).room().limit_bytes == 64 * kMiB);
  CHECK(SystemMemory(machine.root()).room().free_bytes == 54 * kMiB - kept(64 * kMiB));
}
