// A writer that dies while it writes a live tensor: nobody may take the half for a whole, and nobody
// may wait for the dead.
#include <csignal>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/crash_point.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::in_child;

TEST_CASE("a tensor whose writer was killed in the middle says so, and can be repaired", "[crash][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (const char* point : {"writing.begun", "writing.ending"}) {
    INFO(point);
    store.put<std::int32_t>("l/x", std::vector<std::int32_t>(100, 1), {.replace = true, .kind = Kind::kLive});
    const int status = in_child([&] {
      os::arm_crash_point(point);
      const Store own = Store::connect({daemon.socket(), false});
      const View victim = own.attach("l/x", Mode::kReadWrite);
      const Writing writing = victim.writing();
      victim.as_mutable<std::int32_t>()[0] = 2;
      return 0;
    });
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);

    const View view = store.attach("l/x", Mode::kReadWrite);
    std::vector<std::byte> copy(view.size_bytes());
    CHECK_THROWS_AS(view.clone_to(copy), TornWriteError);
    CHECK_THROWS_AS(view.wait(0), TornWriteError);
    CHECK_THROWS_AS(view.writing(), TornWriteError);
    { const Writing repair = view.writing(kForever, /*repair=*/true); }
    CHECK(view.clone_to(copy) == 1);
  }
}

TEST_CASE("waiters of a tensor that is being written notice when the writer is killed", "[crash][live]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<std::int32_t>("l/x", std::vector<std::int32_t>(100, 1), {.kind = Kind::kLive});
  const pid_t writer = ::fork();
  if (writer == 0) {
    const Store own = Store::connect({daemon.socket(), false});
    const View view = own.attach("l/x", Mode::kReadWrite);
    const Writing writing = view.writing();
    for (;;) ::pause();
  }
  const View view = store.attach("l/x");
  std::vector<std::byte> copy(view.size_bytes());
  // Until the writer has begun, copies succeed; then they wait, and name it.
  CHECK(tensord::test::eventually([&] {
    try {
      view.clone_to(copy, std::chrono::milliseconds(5));
      return false;
    } catch (const TimeoutError& error) {
      return std::string(error.what()).find("pid " + std::to_string(writer)) != std::string::npos;
    }
  }));
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
  CHECK_THROWS_AS(view.clone_to(copy), TornWriteError);
}
