// `tensorctl stat`: all that is known of a tensor.
#include <unistd.h>

#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "tensorctl.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::Said;
using tensord::test::tensorctl;
using tensord::test::tensorctl_json;

namespace {

const std::vector<float> kValues(6);
constexpr std::int64_t kShape[] = {2, 3};

}  // namespace

TEST_CASE("tensorctl stat says all of a tensor, without becoming its holder in the answer", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put("run/x", kFloat32, kShape, kValues.data());
  const auto json = tensorctl_json(daemon.socket(), "stat run/x");
  REQUIRE(json.size() == 1);
  const auto& tensor = json[0];
  CHECK(tensor["namespace"] == "run");
  CHECK(tensor["shape"] == nlohmann::json{2, 3});
  CHECK(tensor["strides"] == nlohmann::json{3, 1});
  CHECK(tensor["lifetime"] == "store");
  CHECK(tensor["owner_uid"] == ::geteuid());
  CHECK(tensor["created_unix_ns"] == store.info("run/x").created_unix_ns);
  CHECK(tensor["generation"] == view.generation());
  CHECK(tensor["inode"] == view.location().inode);
  CHECK(tensor["offset_bytes"] == view.location().offset_bytes);
  REQUIRE(tensor["holders"].size() == 1);
  CHECK(tensor["holders"][0]["pid"] == ::getpid());
  CHECK(tensor["waiters"].empty());
  CHECK(!tensor.contains("version"));

  const Said said = tensorctl(daemon.socket(), "stat run/x");
  CHECK(said.code == 0);
  CHECK_THAT(said.text, contains_text("shape      [2, 3]") && contains_text("24 bytes") &&
                            contains_text(std::to_string(::getpid())) && contains_text("waiters    nobody"));
}

TEST_CASE("tensorctl stat says whether a live tensor is whole, being written or torn", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put("live", kFloat32, kShape, kValues.data(), {.kind = Kind::kLive});
  const auto now = [&] { return tensorctl_json(daemon.socket(), "stat live")[0]; };
  view.writing().end();
  CHECK(now()["version"] == 1);
  CHECK(now()["state"] == "whole");
  {
    Writing writing = view.writing();
    CHECK(now()["state"] == "being written");
    writing.give_up();
  }
  CHECK(now()["state"] == "torn");
  CHECK_THAT(tensorctl(daemon.socket(), "stat live").text, contains_text("torn") && contains_text("repair"));
}

TEST_CASE("tensorctl stat of several says what it can, and fails for the others", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a", kValues);
  const Said said = tensorctl(daemon.socket(), "stat nothing a");
  CHECK(said.code == 1);
  CHECK_THAT(said.text, contains_text("no tensor is named 'nothing'") && contains_text("name       a"));
  CHECK(tensorctl(daemon.socket(), "stat").code == 2);
  CHECK(tensorctl("/nonexistent/socket", "stat a").code == 3);
}
