// Who sleeps until a live tensor changes: its writers wake him once they know of him, and he looks by himself
// as long as they cannot.
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <future>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/futex.hpp"
#include "shm/live_header.hpp"

using namespace tensord;
using namespace std::chrono_literals;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;

namespace {

View put_live(const Store& store, const char* name) {
  return store.put<float>(name, std::vector<float>(100), {.kind = Kind::kLive});
}

const shm::LiveHeader& header_of(const View& view) {
  return *reinterpret_cast<const shm::LiveHeader*>(view.data() - shm::kLivePrefixBytes);
}

// Waits in another thread, which goes on as long as the future is not asked.
std::future<std::uint64_t> begin_to_wait(const View& view, std::uint64_t after) {
  return std::async(std::launch::async, [&view, after] { return view.wait(after); });
}

// Whether somebody sleeps on the word of the tensor: he is woken for it, finds nothing, and sleeps again.
bool somebody_sleeps(const View& view) {
  return eventually([&] { return os::futex_wake_all(header_of(view).futex()); });
}

// Nobody but a daemon that goes on can set the word for a reader.
void check_that_a_reader_wakes_by_itself(const View& writer, const View& reader) {
  auto waiting = begin_to_wait(reader, 0);
  CHECK(somebody_sleeps(writer));
  CHECK_FALSE(header_of(writer).is_awaited());
  writer.writing().end();
  CHECK(waiting.get() == 1);
}

}  // namespace

TEST_CASE("a live tensor is awaited once a reader sleeps on it, and not before", "[client][live]") {
  const DaemonProcess daemon;
  const View writer = put_live(daemon.connect(), "l/x");
  const View reader = daemon.connect().attach("l/x");
  writer.writing().end();
  CHECK(reader.wait(0) == 1);
  std::vector<float> copy(100);
  reader.read(std::span(copy));
  CHECK_FALSE(header_of(writer).is_awaited());

  for (std::uint64_t version = 1; version < 4; ++version) {
    auto waiting = begin_to_wait(reader, version);
    CHECK(eventually([&] { return header_of(writer).is_awaited(); }));
    CHECK(somebody_sleeps(writer));
    writer.writing().end();
    CHECK(waiting.get() == version + 1);
  }
}

TEST_CASE("the tensor that comes next to a place is not awaited", "[client][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::uint64_t offset_bytes = 0;
  {
    const View first = put_live(store, "l/x");
    offset_bytes = first.location().offset_bytes;
    CHECK_THROWS_AS(store.attach("l/x").wait(0, 20ms), TimeoutError);
    CHECK(eventually([&] { return header_of(first).is_awaited(); }));
    store.remove("l/x");
  }
  const View second = put_live(store, "l/x");
  CHECK(second.location().offset_bytes == offset_bytes);
  CHECK_FALSE(header_of(second).is_awaited());
}

TEST_CASE("a reader that falls asleep when the daemon is gone still sees the next version",
          "[client][live]") {
  const DaemonProcess daemon;
  const View writer = put_live(daemon.connect(), "l/x");
  const View reader = daemon.connect().attach("l/x");
  REQUIRE(::kill(daemon.pid(), SIGKILL) == 0);
  CHECK(eventually([&] { return !daemon.running(); }));
  check_that_a_reader_wakes_by_itself(writer, reader);
}

TEST_CASE("a reader that falls asleep while the daemon is stopped does not wait for it", "[client][live]") {
  const DaemonProcess daemon;
  const View writer = put_live(daemon.connect(), "l/x");
  const View reader = daemon.connect().attach("l/x");
  REQUIRE(::kill(daemon.pid(), SIGSTOP) == 0);
  check_that_a_reader_wakes_by_itself(writer, reader);
  REQUIRE(::kill(daemon.pid(), SIGCONT) == 0);
}

TEST_CASE("who may write a tensor says himself that he sleeps, without the daemon", "[client][live]") {
  const DaemonProcess daemon;
  const View writer = put_live(daemon.connect(), "l/x");
  const View other = daemon.connect().attach("l/x", Mode::kReadWrite);
  REQUIRE(::kill(daemon.pid(), SIGKILL) == 0);
  auto waiting = begin_to_wait(other, 0);
  CHECK(eventually([&] { return header_of(writer).is_awaited(); }));
  writer.writing().end();
  CHECK(waiting.get() == 1);

  // And so does a writer that waits for its turn.
  Writing writing = writer.writing();
  auto turn = std::async(std::launch::async, [&] { other.writing().end(); });
  CHECK(somebody_sleeps(writer));
  writing.end();
  turn.get();
  CHECK(writer.version() == 3);
}

TEST_CASE("a reader is woken through a view from before a fork", "[client][live][fork]") {
  const DaemonProcess daemon;
  const View writer = put_live(daemon.connect(), "l/x");
  const Store store = daemon.connect();
  const View reader = store.attach("l/x");
  const int status = in_child([&] {
    auto waiting = begin_to_wait(reader, 0);
    const bool awaited = eventually([&] { return header_of(writer).is_awaited(); });
    writer.writing().end();
    return awaited && waiting.get() == 1 ? 0 : 1;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  // In the parent, too, the connection is not what it was.
  auto waiting = begin_to_wait(reader, 1);
  CHECK(somebody_sleeps(reader));
  writer.writing().end();
  CHECK(waiting.get() == 2);
}
