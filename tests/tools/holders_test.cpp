// `tensorctl holders`: what it says, and its exit codes.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
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

const std::vector<float> kValues{1, 2, 3};

}  // namespace

TEST_CASE("tensorctl holders says who pins a tensor, as a table and as JSON", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View first = store.put<float>("a/x", kValues);
  const View view = store.put<float>("a/x", kValues, {.replace = true});
  const View again = view;
  const std::string pid = std::to_string(::getpid());

  const Said table = tensorctl(daemon.socket(), "holders a/x");
  CHECK(table.code == 0);
  CHECK_THAT(table.text, contains_text("PID") && contains_text("COMMAND") && contains_text("VIEWS"));
  CHECK_THAT(table.text, contains_text(pid) && contains_text("dying") && contains_text("attached"));
  CHECK(std::ranges::count(table.text, '\n') == 3);

  const auto json = tensorctl_json(daemon.socket(), "holders a/x");
  REQUIRE(json.size() == 2);
  CHECK(json[0]["name"] == "a/x");
  CHECK(json[0]["state"] == "dying");
  CHECK(json[1]["state"] == "attached");
  CHECK(json[1]["views"] == 2);
  CHECK(json[1]["pid"] == ::getpid());
  CHECK(json[1]["size_bytes"] == 12);
}

TEST_CASE("tensorctl holders without a name says what keeps memory that no name leads to", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  CHECK_THAT(tensorctl(daemon.socket(), "holders").text, contains_text("nobody holds memory"));
  CHECK(tensorctl(daemon.socket(), "holders --json").text == "[]\n");
  const View view = store.put<float>("a/x", kValues);
  store.remove("a/x");
  const Said table = tensorctl(daemon.socket(), "holders");
  CHECK(table.code == 0);
  CHECK_THAT(table.text, contains_text("dying") && contains_text("a/x"));
}

TEST_CASE("tensorctl holders fails as its other commands do", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  const Said unheld = tensorctl(daemon.socket(), "holders a/x");
  CHECK(unheld.code == 0);
  CHECK(unheld.text == "nobody holds a/x\n");
  const Said unknown = tensorctl(daemon.socket(), "holders a/y");
  CHECK(unknown.code == 1);
  CHECK_THAT(unknown.text, contains_text("no tensor is named 'a/y'"));
  CHECK(tensorctl(daemon.socket(), "holders ''").code == 1);
  CHECK(tensorctl(daemon.socket(), "holders a/x a/y").code == 2);
  CHECK(tensorctl(daemon.socket() + ".none", "holders").code == 3);
}

TEST_CASE("a process that calls itself something strange cannot write to the terminal", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("a/x", kValues);
  char name[16] = {};
  REQUIRE(::prctl(PR_GET_NAME, name) == 0);
  REQUIRE(::prctl(PR_SET_NAME, "\x1b[2Jbad\nname\xff") == 0);
  const Said table = tensorctl(daemon.socket(), "holders a/x");
  REQUIRE(::prctl(PR_SET_NAME, name) == 0);
  CHECK_THAT(table.text, contains_text("?[2Jbad?name?"));
}

TEST_CASE("tensorctl shows a name of 255 bytes whole, and refuses a longer one with both numbers",
          "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::string name = "größe/";
  while (name.size() < 255) name += name.size() + 2 <= 255 ? "é" : "x";
  const View view = store.put<float>(name, kValues);
  CHECK(tensorctl_json(daemon.socket(), "holders '" + name + "'")[0]["name"] == name);
  CHECK(tensorctl(daemon.socket(), "holders '" + name + "'").code == 0);
  const Said refused = tensorctl(daemon.socket(), "holders '" + name + "x'");
  CHECK(refused.code != 0);
  CHECK_THAT(refused.text, contains_text("has 256 bytes; at most 255 are allowed"));
}
