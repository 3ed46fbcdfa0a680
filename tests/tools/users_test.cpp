// `tensorctl users`: what it says, and its exit codes.
#include <unistd.h>

#include <algorithm>
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

TEST_CASE("tensorctl users says what each user has and may have, as a table and as JSON", "[tools]") {
  const DaemonProcess daemon({"--max-bytes-per-user", "1MiB", "--max-tensors-per-user", "7"});
  const Store store = daemon.connect();
  const std::vector<float> values(1024);
  store.put<float>("a/x", values);
  // By another client, so that no spare is granted for a row of puts.
  const View view = daemon.connect().put<float>("a/y", values);
  store.remove("a/y");
  const std::string uid = std::to_string(::geteuid());

  const Said table = tensorctl(daemon.socket(), "users");
  CHECK(table.code == 0);
  CHECK_THAT(table.text, contains_text("UID") && contains_text("MEMORY") && contains_text(" " + uid + " "));
  CHECK_THAT(table.text, contains_text("4 KiB of 1 MiB") && contains_text("2 of 7"));
  CHECK(std::ranges::count(table.text, '\n') == 2);

  const auto json = tensorctl_json(daemon.socket(), "users");
  REQUIRE(json.size() == 1);
  CHECK(json[0]["uid"] == ::geteuid());
  CHECK(json[0]["used_bytes"] == 4096);
  CHECK(json[0]["max_bytes"] == 1048576);
  CHECK(json[0]["dying_bytes"] == 4096);
  CHECK(json[0]["max_tensors"] == 7);
}

TEST_CASE("tensorctl users fails as its other commands do", "[tools]") {
  CHECK(tensorctl("/nonexistent/socket", "users").code == 3);
}
