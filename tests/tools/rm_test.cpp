// `tensorctl rm`: what goes, what is said of it, and what is left alone.
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

using Names = std::vector<std::string>;
const std::vector<float> kValues{1, 2, 3};

void put(const Store& store, const Names& names) {
  for (const std::string& name : names) store.put<float>(name, kValues, {.replace = true});
}

}  // namespace

TEST_CASE("tensorctl rm says what it removed, and what waits for whom", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  put(store, {"a", "b", "c"});
  const View view = store.attach("b");
  const Said said = tensorctl(daemon.socket(), "rm a b");
  CHECK(said.code == 0);
  CHECK_THAT(said.text, contains_text("removed a (12 bytes)\n") &&
                            contains_text("removed b (12 bytes, which wait for one view)\n") &&
                            contains_text("2 tensors with 24 bytes; 12 bytes of it wait for their holders"));
  CHECK(store.names() == Names{"c"});
}

TEST_CASE("tensorctl rm removes all others when one fails", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  put(store, {"a", "b"});
  const Said said = tensorctl(daemon.socket(), "rm a nothing b");
  CHECK(said.code == 1);
  CHECK_THAT(said.text, contains_text("no tensor is named 'nothing'"));
  CHECK(store.names().empty());
  CHECK(tensorctl(daemon.socket(), "rm --force nothing").code == 0);
  const auto json = tensorctl_json(daemon.socket(), "rm nothing");
  CHECK(json["removed"].empty());
  CHECK(json["failed"][0]["name"] == "nothing");
}

TEST_CASE("tensorctl rm takes prefixes and globs only when it is told to", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  put(store, {"run/*", "run/a", "run/b", "other"});
  CHECK(tensorctl(daemon.socket(), "rm 'run/*'").code == 0);
  CHECK(store.names() == Names{"other", "run/a", "run/b"});
  CHECK_THAT(tensorctl(daemon.socket(), "rm --dry-run --glob 'run/*'").text,
             contains_text("would remove run/a"));
  CHECK(store.names().size() == 3);
  CHECK(tensorctl(daemon.socket(), "rm --glob 'run/*'").code == 0);
  CHECK(store.names() == Names{"other"});
  CHECK(tensorctl(daemon.socket(), "rm --glob 'run/*'").code == 1);
  CHECK(tensorctl(daemon.socket(), "rm --force --glob 'run/*'").code == 0);
  CHECK(tensorctl(daemon.socket(), "rm --prefix oth").code == 0);
  CHECK(store.names().empty());
}

TEST_CASE("tensorctl rm of nothing is wrong usage, never everything", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  put(store, {"a"});
  for (const char* arguments : {"rm", "rm --prefix ''", "rm --glob", "rm --force"})
    CHECK(tensorctl(daemon.socket(), arguments).code == 2);
  CHECK(store.names() == Names{"a"});
  CHECK(tensorctl("/nonexistent/socket", "rm a").code == 3);
}
