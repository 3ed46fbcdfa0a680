// `tensorctl wait` and `tensorctl waiters`.
#include <future>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "tensorctl.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::Said;
using tensord::test::tensorctl;
using tensord::test::tensorctl_json;

namespace {

const std::vector<float> kValues{1, 2, 3};

// The command, running meanwhile; returned once the daemon knows that it sleeps.
std::future<Said> sleeping(const DaemonProcess& daemon, const std::string& arguments) {
  auto said =
      std::async(std::launch::async, [=, socket = daemon.socket()] { return tensorctl(socket, arguments); });
  REQUIRE(eventually([&] { return !tensorctl_json(daemon.socket(), "waiters").empty(); }));
  return said;
}

}  // namespace

TEST_CASE("tensorctl wait returns once the tensor is there, and waiters shows who sleeps for it", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  CHECK(tensorctl(daemon.socket(), "waiters").text == "nobody waits\n");
  auto said = sleeping(daemon, "wait a/x");
  const auto waiters = tensorctl_json(daemon.socket(), "waiters");
  CHECK(waiters[0]["name"] == "a/x");
  CHECK(waiters[0]["waits_for"] == "name");
  CHECK(waiters[0]["command"] == "tensorctl");
  CHECK_THAT(tensorctl(daemon.socket(), "waiters").text, contains_text("tensorctl") && contains_text("a/x"));
  store.put<float>("a/x", kValues);
  const Said after = said.get();
  CHECK(after.code == 0);
  CHECK(after.text == "a/x: float32 [3], 12 bytes\n");
  CHECK(tensorctl_json(daemon.socket(), "wait a/x")["size_bytes"] == 12);
}

TEST_CASE("tensorctl wait waits for the next version of a live tensor", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("live", kValues, {.kind = Kind::kLive});
  view.writing().end();
  CHECK(tensorctl_json(daemon.socket(), "wait live --after 0")["version"] == 1);
  auto said = sleeping(daemon, "wait live --next");
  CHECK(tensorctl_json(daemon.socket(), "stat live")[0]["waiters"].size() == 1);
  view.writing().end();
  CHECK_THAT(said.get().text, contains_text("version 2"));
  CHECK(tensorctl(daemon.socket(), "wait live --next --after 1").code == 2);
}

TEST_CASE("tensorctl wait that takes too long has an exit code of its own", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Said nobody = tensorctl(daemon.socket(), "wait a/x --timeout 0.01");
  CHECK(nobody.code == 4);
  CHECK_THAT(nobody.text, contains_text("a/x"));
  store.put<float>("live", kValues, {.kind = Kind::kLive});
  CHECK(tensorctl(daemon.socket(), "wait live --after 0 --timeout 0").code == 4);
  CHECK(tensorctl(daemon.socket(), "wait a/x --timeout nan").code == 2);
  CHECK(tensorctl(daemon.socket(), "wait a/x --timeout -1").code == 2);
  CHECK(tensorctl(daemon.socket(), "wait").code == 2);
  store.put<float>("sealed", kValues);
  CHECK(tensorctl(daemon.socket(), "wait sealed --next").code == 1);
  CHECK(tensorctl("/nonexistent/socket", "wait a/x").code == 3);
}
