// `tensorctl start`, `status` and `stop`: what scripts are told.
#include <filesystem>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "kept_store.hpp"
#include "tensorctl.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::KeptStore;
using tensord::test::Said;
using tensord::test::tensorctl;
using tensord::test::tensorctl_json;

TEST_CASE("tensorctl starts a daemon once, and stops it", "[tools]") {
  const DaemonProcess other;  // for its directory, which goes with it
  const std::string socket = (other.directory() / "started").string();
  const auto first = tensorctl_json(socket, "start");
  CHECK(first["started"] == true);
  CHECK(first["socket"] == socket);
  const auto second = tensorctl_json(socket, "start");
  CHECK(second["started"] == false);
  CHECK(second["pid"] == first["pid"]);
  CHECK_THAT(tensorctl(socket, "start").text, contains_text("runs already"));
  CHECK(tensorctl_json(socket, "status")["kept_by"] == "keeper");
  CHECK(tensorctl_json(socket, "stop")["stopped"] == true);
  CHECK(tensorctl(socket, "stop").code == 3);
}

TEST_CASE("tensorctl status says who keeps the store, and what was published", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a", std::vector<float>(1024));
  store.remove("a");
  const auto json = tensorctl_json(daemon.socket(), "status");
  CHECK(json["running"] == true);
  CHECK(json["kept_by"] == "nobody");
  CHECK(json["published"] == 1);
  CHECK(json["published_bytes"] == 4096);
  CHECK(json["deleted"] == 1);
  CHECK_THAT(
      tensorctl(daemon.socket(), "status").text,
      contains_text("1 tensors published with 4 KiB, 1 deleted") && contains_text("nobody: the store ends"));
  const KeptStore kept;
  CHECK_THAT(tensorctl(kept.socket(), "status").text, contains_text("kept by      the keeper"));
}

TEST_CASE("where no daemon runs, status answers so; other commands say how to start one; exit code 3",
          "[tools]") {
  const Said said = tensorctl("/nonexistent/socket", "status");
  CHECK(said.code == 3);
  CHECK(said.text == "no tensord runs at /nonexistent/socket\n");
  CHECK(tensorctl("/nonexistent/socket", "status --json").code == 3);
  CHECK(tensorctl_json("/nonexistent/socket", "status")["running"] == false);
  for (const char* command : {"stop", "restart", "ls", "holders", "users", "waiters"}) {
    const Said other = tensorctl("/nonexistent/socket", command);
    CHECK(other.code == 3);
    CHECK_THAT(other.text,
               contains_text("no tensord runs at /nonexistent/socket: start one with `tensorctl start`"));
  }
}

TEST_CASE("tensorctl restart in JSON", "[tools]") {
  const KeptStore kept;
  const Store store = kept.connect();
  const auto json = tensorctl_json(kept.socket(), "restart");
  CHECK(json["pid"] != json["pid_before"]);
  CHECK(json["pid"] == KeptStore::daemon_pid(store));
}
