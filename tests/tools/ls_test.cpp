// `tensorctl ls`: which tensors, in which order.
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

std::vector<float> values(std::size_t count) { return std::vector<float>(count); }

std::string names(const DaemonProcess& daemon, const std::string& arguments) {
  return tensorctl(daemon.socket(), "ls -1 " + arguments).text;
}

}  // namespace

TEST_CASE("tensorctl ls shows what each tensor is, as a table and as JSON", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("a/x", values(6));
  const std::int64_t shape[] = {2, 3};
  store.put("b", kInt32, shape, values(6).data(), {.kind = Kind::kLive});

  const Said table = tensorctl(daemon.socket(), "ls");
  CHECK(table.code == 0);
  CHECK_THAT(table.text, contains_text("NAME") && contains_text("HOLDERS") && contains_text("a/x") &&
                             contains_text("[2, 3]") && contains_text("24 bytes") && contains_text("live"));

  const auto json = tensorctl_json(daemon.socket(), "ls");
  REQUIRE(json.size() == 2);
  CHECK(json[0]["name"] == "a/x");
  CHECK(json[0]["dtype"] == "float32");
  CHECK(json[0]["shape"] == nlohmann::json{6});
  CHECK(json[0]["size_bytes"] == 24);
  CHECK(json[0]["kind"] == "sealed");
  CHECK(json[0]["holders"] == 1);
  CHECK(json[1]["kind"] == "live");
  CHECK(json[1]["holders"] == 0);
  CHECK_THAT(tensorctl(daemon.socket(), "ls --long").text,
             contains_text("LIFETIME") && contains_text("CREATED"));
}

TEST_CASE("tensorctl ls takes prefixes and globs, whose stars stay within a part", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (const char* name : {"a", "a/x", "a/y", "a/x/deep", "ab/x", "größe/é"})
    store.put<float>(name, values(1));
  CHECK(names(daemon, "") == "a\na/x\na/x/deep\na/y\nab/x\ngröße/é\n");
  CHECK(names(daemon, "a/") == "a/x\na/x/deep\na/y\n");
  CHECK(names(daemon, "a/y ab") == "a/y\nab/x\n");
  CHECK(names(daemon, "'a/*'") == "a/x\na/y\n");
  CHECK(names(daemon, "'a/**'") == "a\na/x\na/x/deep\na/y\n");
  CHECK(names(daemon, "'**/x'") == "a/x\nab/x\n");
  CHECK(names(daemon, "'**/x/**'") == "a/x\na/x/deep\nab/x\n");
  CHECK(names(daemon, "'a?/[xy]'") == "ab/x\n");
  CHECK(names(daemon, "'größe/?'") == "größe/é\n");
  CHECK(names(daemon, "'*'") == "a\n");
  CHECK(names(daemon, "nothing").empty());
}

TEST_CASE("tensorctl ls sorts by size, age and holders, and the other way round", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View small = store.put<float>("small", values(1));
  const View held = daemon.connect().attach("small");
  store.put<float>("big", values(100));
  const View middle = store.put<float>("middle", values(10));
  CHECK(names(daemon, "--sort size") == "big\nmiddle\nsmall\n");
  CHECK(names(daemon, "--sort size -r") == "small\nmiddle\nbig\n");
  CHECK(names(daemon, "--sort age") == "small\nbig\nmiddle\n");
  CHECK(names(daemon, "--sort holders") == "small\nmiddle\nbig\n");
  CHECK(tensorctl(daemon.socket(), "ls --sort colour").code == 2);
}

TEST_CASE("tensorctl ls of an empty store, and of none", "[tools]") {
  const DaemonProcess daemon;
  CHECK(tensorctl(daemon.socket(), "ls --json").text == "[]\n");
  CHECK(tensorctl(daemon.socket(), "ls").code == 0);
  CHECK(tensorctl("/nonexistent/socket", "ls").code == 3);
  CHECK(tensorctl("/nonexistent/socket", "ls --nonsense").code == 2);
}
