#include "catch.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "occupied_bytes.hpp"
#include "seccomp.hpp"
#include "segments.hpp"

using namespace tensord;
using namespace tensord::daemon;
using tensord::test::occupied_bytes;
namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct Fixture {
  explicit Fixture(std::uint64_t keep_warm_bytes = 1024 * kMiB, HugePages huge_pages = HugePages::kNever)
      : segments(loop, Space(1024 * kMiB, keep_warm_bytes), huge_pages,
                 {[](SegmentId, Pool) {}, [](SegmentId) {}}) {}

  // Begins to place; what came of it is appended to `order` and `placed` when it did.
  void begin_to_place(Pool pool, std::uint64_t size_bytes) {
    asio::co_spawn(
        loop,
        [this, pool, size_bytes]() -> asio::awaitable<void> {
          const Result<Placed> result = co_await segments.place(pool, size_bytes, 0);
          if (!result) co_return;
          order.push_back(size_bytes);
          placed.push_back(result.value());
        },
        asio::detached);
  }
  void run() {
    loop.run();
    loop.restart();
  }

  asio::io_context loop{1};
  Segments segments;
  std::vector<std::uint64_t> order;
  std::vector<Placed> placed;
};

// From here on the calls that make or free memory fail in this thread; threads that run already may.
void forbid_memory_calls() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  if (!test::install_seccomp_filter(rules)) ::_exit(3);
}

}  // namespace

TEST_CASE("a small segment does not wait for a large one that was asked for before", "[segments]") {
  Fixture fixture(0, GENERATE(HugePages::kNever, HugePages::kAuto));
  fixture.begin_to_place({1, Kind::kSealed}, 512 * kMiB);
  fixture.begin_to_place({2, Kind::kSealed}, 1 * kMiB);
  fixture.run();
  CHECK(fixture.order == std::vector<std::uint64_t>{1 * kMiB, 512 * kMiB});
  for (const Placed& placed : fixture.placed) {
    const os::Memfd& memfd = *fixture.segments.find(placed.extent.segment);
    CHECK(occupied_bytes(memfd.fd()) == memfd.size_bytes());  // memory behind every byte
  }
}

TEST_CASE("memory is made and freed by the helper, never by the event loop", "[segments]") {
  // In a child, for nobody gets out of the filter again.
  const pid_t child = ::fork();
  if (child == 0) {
    Fixture fixture(/*keep_warm_bytes=*/0);
    forbid_memory_calls();
    if (::fallocate(-1, 0, 0, 1) == 0 || errno != EPERM) ::_exit(3);
    fixture.begin_to_place({1, Kind::kSealed}, 64 * kMiB);
    fixture.run();
    if (fixture.placed.empty()) ::_exit(4);
    const Extent extent = fixture.placed.front().extent;
    const os::UniqueFd memfd = fixture.segments.find(extent.segment)->duplicate();
    if (occupied_bytes(memfd.get()) != 64 * kMiB) ::_exit(5);

    fixture.segments.give_back(extent);
    if (fixture.segments.find(extent.segment) != nullptr) ::_exit(6);
    for (int i = 0; i < 20'000 && occupied_bytes(memfd.get()) > 0; ++i) ::usleep(500);
    ::_exit(occupied_bytes(memfd.get()) == 0 ? 0 : 7);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("a segment that is no multiple of 2 MiB has memory behind every byte", "[segments]") {
  Fixture fixture(0, GENERATE(HugePages::kNever, HugePages::kAuto, HugePages::kAlways));
  fixture.begin_to_place({1, Kind::kSealed}, 33 * kMiB + 5);
  fixture.run();
  const os::Memfd& memfd = *fixture.segments.find(fixture.placed.front().extent.segment);
  CHECK(memfd.size_bytes() == 33 * kMiB + 4096);
  CHECK(occupied_bytes(memfd.fd()) == memfd.size_bytes());
}

TEST_CASE("a place that was given back is used again as it is", "[segments]") {
  Fixture fixture;
  fixture.begin_to_place({1, Kind::kSealed}, 64 * kMiB);
  fixture.run();
  const Extent extent = fixture.placed.front().extent;
  fixture.segments.give_back(extent);
  fixture.begin_to_place({1, Kind::kSealed}, 64 * kMiB);
  fixture.run();
  CHECK(fixture.placed.back().extent == extent);
  CHECK(occupied_bytes(fixture.segments.find(extent.segment)->fd()) == 64 * kMiB);
}
