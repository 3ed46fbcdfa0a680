// A daemon that is killed takes the names with it, and nothing that somebody looks at.
#include <chrono>
#include <csignal>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "values.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::in_child;

namespace {

const std::vector<float> kValues{1, 2, 3, 4};

bool is_whole(const View& view) { return tensord::test::holds(view, kValues); }

}  // namespace

TEST_CASE("when the daemon is killed, views stay as they are, and requests are errors that say so",
          "[crash]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View sealed = store.put<float>("a/sealed", kValues);
  View live = store.put<float>("a/live", kValues, {.kind = Kind::kLive});
  View deleted = store.put<float>("a/deleted", kValues);
  store.remove("a/deleted");
  Builder builder = store.build("a/half", kFloat32, std::vector<std::int64_t>{4});
  const View copy = sealed;
  REQUIRE(::kill(daemon.pid(), SIGKILL) == 0);

  for (const View* const view : {&sealed, &copy, static_cast<const View*>(&deleted)}) CHECK(is_whole(*view));
  live.writing().end();
  live.as_mutable<float>()[0] = 7;
  CHECK(live.version() == 1);
  CHECK(live.as<float>()[0] == 7);
  std::vector<float> private_copy(4);
  sealed.clone_to(std::as_writable_bytes(std::span(private_copy)));
  CHECK(private_copy == kValues);
  // What is in the catalog can still be attached: it stands still now.
  CHECK(is_whole(store.attach("a/sealed")));
  CHECK(in_child([&] { return is_whole(sealed) && is_whole(copy) ? 0 : 1; }) == 0);

  for (int again = 0; again < 2; ++again) {
    CHECK_THROWS_AS(store.put<float>("a/new", kValues), ConnectionLostError);
    CHECK_THROWS_AS(store.remove("a/sealed"), ConnectionLostError);
    CHECK_THROWS_AS(store.attach("a/none"), ConnectionLostError);
  }
  CHECK_THROWS_AS(builder.publish(), ConnectionLostError);
  deleted.reset();  // with nobody to nudge
}

TEST_CASE("a daemon that is killed in the middle of a row of puts leaves each of them whole or an error",
          "[crash]") {
  std::size_t put = 0;
  for (int round = 0; round < 20; ++round) {
    const DaemonProcess daemon;
    const Store store = daemon.connect();
    std::vector<View> views{store.put<float>("a/first", kValues)};
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
      ::kill(daemon.pid(), SIGKILL);
    });
    CHECK_THROWS_AS(
        [&] {
          for (int i = 0;; ++i) views.push_back(store.put<float>("a/" + std::to_string(i), kValues));
        }(),
        ConnectionLostError);
    killer.join();
    for (const View& view : views) REQUIRE(is_whole(view));
    put += views.size();
  }
  CHECK(put > 20);
}
