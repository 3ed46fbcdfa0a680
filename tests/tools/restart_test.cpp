// `tensorctl restart`: what it says, and its exit codes.
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

TEST_CASE("tensorctl restart says who follows whom, and what is still there", "[tools]") {
  const KeptStore kept;
  const Store store = kept.connect();
  store.put<float>("a/x", std::vector<float>(1024));
  const std::string before = std::to_string(KeptStore::daemon_pid(store));
  const Said said = tensorctl(kept.socket(), "restart");
  const std::string after = std::to_string(KeptStore::daemon_pid(store));
  CHECK(said.code == 0);
  CHECK(before != after);
  CHECK_THAT(said.text, contains_text("pid " + after) && contains_text("follows pid " + before) &&
                            contains_text("1 tensors with 4 KiB are still there"));
}

TEST_CASE("tensorctl restart fails where nobody keeps the store, and where no daemon runs", "[tools]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const auto before = store.stats().daemon_pid;
  CHECK(tensorctl(daemon.socket(), "restart").code == 1);
  CHECK(store.stats().daemon_pid == before);
  CHECK(tensorctl("/nonexistent/socket", "restart").code == 3);
}
