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

#include "fake_machine.hpp"
#include "occupied_bytes.hpp"
#include "seccomp.hpp"
#include "segments.hpp"
#include "zeroed_memory.hpp"

using namespace tensord;
using namespace tensord::daemon;
using tensord::test::occupied_bytes;
namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct Fixture {
  explicit Fixture(std::uint64_t keep_warm_bytes = 1024 * kMiB, HugePages huge_pages = HugePages::kNever,
                   Reserve reserve = Reserve::kAhead, const std::string& machine = {})
      : segments(loop, Space(1024 * kMiB, keep_warm_bytes), {huge_pages, reserve, keep_warm_bytes}, book,
                 nobody, {[](SegmentId, Pool) {}, [](SegmentId) {}}, SystemMemory(machine)) {}

  // Begins to place; what came of it is appended to `order` and `placed` when it did.
  void begin_to_place(Pool pool, std::uint64_t size_bytes) {
    asio::co_spawn(
        loop,
        [this, pool, size_bytes]() -> asio::awaitable<void> {
          const Result<Placed> result = co_await segments.place(pool, size_bytes, 0);
          if (!result) {
            refusals.push_back(result.failure().text);
            co_return;
          }
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
  test::ZeroedMemory book_memory{book_size_bytes(1)};
  Book book = Book::begin(book_memory.bytes(), 1);
  ServiceManager nobody;
  Segments segments;
  std::vector<std::uint64_t> order;
  std::vector<Placed> placed;
  std::vector<std::string> refusals;
};

std::uint64_t memory_of(const Segments& segments, SegmentId id) {
  return occupied_bytes(segments.find(id)->fd());
}

// Whether the helper gives memory back until so much is left; it is not waited for otherwise.
bool comes_down_to(std::uint64_t bytes, const Segments& segments, SegmentId id) {
  for (int i = 0; i < 20'000 && memory_of(segments, id) != bytes; ++i) ::usleep(500);
  return memory_of(segments, id) == bytes;
}

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

TEST_CASE("on demand, memory lies behind the pieces of tensors only, and goes with them", "[segments]") {
  const auto huge_pages = GENERATE(HugePages::kNever, HugePages::kAuto);
  Fixture fixture(0, huge_pages, Reserve::kOnDemand);
  for (const std::uint64_t size_bytes : {1 * kMiB, 5 * kMiB, 64ul}) {
    fixture.begin_to_place({1, Kind::kSealed}, size_bytes);
    fixture.run();
  }
  REQUIRE(fixture.placed.size() == 3);
  const Extent one = fixture.placed[0].extent, two = fixture.placed[1].extent,
               three = fixture.placed[2].extent;
  REQUIRE(one.segment == three.segment);
  CHECK(fixture.segments.find(one.segment)->size_bytes() >= 16 * kMiB);
  CHECK(memory_of(fixture.segments, one.segment) == 8 * kMiB);  // 6 MiB and a line: four pieces
  CHECK(fixture.segments.figures().reserved_bytes == 8 * kMiB);

  fixture.segments.give_back(two);
  CHECK(comes_down_to(4 * kMiB, fixture.segments, one.segment));  // the first and the last are shared
  // What lies there again has memory again.
  fixture.begin_to_place({1, Kind::kSealed}, 5 * kMiB);
  fixture.run();
  CHECK(fixture.placed.back().extent == two);
  CHECK(memory_of(fixture.segments, one.segment) == 8 * kMiB);
}

TEST_CASE("on demand, a place that has memory is had at once, and another one never", "[segments]") {
  Fixture fixture(1024 * kMiB, HugePages::kNever, Reserve::kOnDemand);
  const Pool pool{1, Kind::kSealed};
  fixture.begin_to_place(pool, 64);
  fixture.run();
  CHECK(fixture.segments.place_if_free(pool, 64, 0));
  CHECK_FALSE(fixture.segments.place_if_free(pool, 4 * kMiB, 0));
  CHECK_FALSE(fixture.segments.place_now(pool, 4 * kMiB, 0));
  CHECK(fixture.segments.figures().used_bytes == 128);

  fixture.begin_to_place(pool, 4 * kMiB);
  fixture.run();
  fixture.segments.give_back(fixture.placed.back().extent);
  CHECK(fixture.segments.place_now(pool, 4 * kMiB, 0));  // it was kept warm
}

TEST_CASE("a machine with little memory left gives a smaller segment, or an error with figures",
          "[segments]") {
  const test::FakeMachine machine;
  const std::uint64_t kept_bytes = SystemMemory::kept_free_bytes(std::uint64_t{16} << 30);
  machine.has_available(kept_bytes + 6 * kMiB);
  Fixture fixture(1024 * kMiB, HugePages::kNever, Reserve::kAhead, machine.root());
  fixture.begin_to_place({1, Kind::kSealed}, 1 * kMiB);
  fixture.run();
  REQUIRE(fixture.placed.size() == 1);
  CHECK(fixture.segments.find(fixture.placed[0].extent.segment)->size_bytes() == 4 * kMiB);

  fixture.begin_to_place({1, Kind::kSealed}, 50 * kMiB);
  fixture.run();
  REQUIRE(fixture.refusals.size() == 1);
  CHECK(fixture.refusals[0] ==
        "out of space: asked 50 MiB, free 9 MiB (largest range 6 MiB), limit 1 GiB; the machine has 6 MiB "
        "left of "
        "its 16 GiB (512 MiB besides stay free): free memory there, delete tensors, or drop views of deleted "
        "ones");
  CHECK(fixture.segments.figures().pending_bytes == 0);
}

TEST_CASE("a machine that ran out of memory while a segment was made refuses it whole", "[segments]") {
  const test::FakeMachine machine;
  Fixture fixture(1024 * kMiB, HugePages::kNever, Reserve::kAhead, machine.root());
  fixture.begin_to_place({1, Kind::kSealed}, 64 * kMiB);
  while (fixture.segments.figures().pending_bytes == 0) fixture.loop.run_one();
  machine.has_available(0);
  fixture.run();
  // Or it was quicker than the change, and has everything.
  if (fixture.refusals.empty()) {
    CHECK(memory_of(fixture.segments, fixture.placed.at(0).extent.segment) == 64 * kMiB);
  } else {
    CHECK_THAT(fixture.refusals[0], contains_text("out of space: the system has no memory for 64 MiB"));
    CHECK_THAT(fixture.refusals[0], contains_text("the machine has 0 bytes left of its 16 GiB"));
    CHECK(fixture.segments.figures().reserved_bytes == 0);
  }
}

TEST_CASE("on demand, who is refused leaves nothing, and what was kept warm went before", "[segments]") {
  const test::FakeMachine machine;
  Fixture fixture(1024 * kMiB, HugePages::kNever, Reserve::kOnDemand, machine.root());
  const Pool pool{1, Kind::kSealed};
  fixture.begin_to_place({2, Kind::kSealed}, 8 * kMiB);
  fixture.run();
  fixture.segments.give_back(fixture.placed[0].extent);
  CHECK(fixture.segments.figures().reserved_bytes == 8 * kMiB);

  machine.has_available(0);
  fixture.begin_to_place(pool, 16 * kMiB);
  fixture.run();
  REQUIRE(fixture.refusals.size() == 1);
  CHECK_THAT(fixture.refusals[0], contains_text("the system has no memory for 16 MiB"));
  CHECK(fixture.segments.figures().used_bytes == 0);
  CHECK(fixture.segments.figures().reserved_bytes == 0);

  machine.has_available(std::uint64_t{8} << 30);
  fixture.begin_to_place(pool, 16 * kMiB);
  fixture.run();
  CHECK(fixture.refusals.size() == 1);
}
