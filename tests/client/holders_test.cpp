// Who holds what: processes that look at tensors, name by name, until they let go or are killed.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;

namespace {

const std::vector<float> kValues{1, 2, 3};

// A process that attaches to a name as often as it is told, as soon as there is one, and looks until it is
// killed.
class Onlooker {
 public:
  Onlooker(const DaemonProcess& daemon, const std::string& name, int views) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      const Store store = daemon.connect();
      const std::vector<View> held(static_cast<std::size_t>(views), store.wait(name));
      for (;;) ::pause();
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  Onlooker(const Onlooker&) = delete;
  Onlooker& operator=(const Onlooker&) = delete;
  ~Onlooker() { kill(); }
  void kill() {
    if (const pid_t pid = std::exchange(pid_, 0); pid != 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  [[nodiscard]] std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }

 private:
  pid_t pid_;
};

std::uint32_t own_pid() { return static_cast<std::uint32_t>(::getpid()); }

// Those of holders() in this state.
std::vector<Holder> in_state(const Store& store, HolderState state) {
  std::vector<Holder> holders = store.holders();
  std::erase_if(holders, [&](const Holder& holder) { return holder.state != state; });
  return holders;
}

}  // namespace

TEST_CASE("who holds a tensor is told with pid and views, until it is killed", "[client][holders]") {
  const DaemonProcess daemon;
  Onlooker onlooker(daemon, "a/x", 2);
  const Store store = daemon.connect();
  const auto before_ns = static_cast<std::uint64_t>(::time(nullptr)) * 1'000'000'000;
  store.put<float>("a/x", kValues);
  REQUIRE(eventually([&] {
    const auto holders = store.holders("a/x");
    return holders.size() == 1 && holders[0].views == 2;
  }));
  const Holder seen = store.holders("a/x").at(0);
  CHECK(seen.name == "a/x");
  CHECK(seen.state == HolderState::kAttached);
  CHECK(seen.pid == onlooker.pid());
  CHECK(seen.uid == ::geteuid());
  std::string comm;
  std::getline(std::ifstream("/proc/self/comm"), comm);
  CHECK(seen.command == comm);
  CHECK(seen.size_bytes == 12);
  CHECK(seen.created_unix_ns >= before_ns);
  CHECK(seen.created_unix_ns == store.info("a/x").created_unix_ns);
  CHECK(seen.connected_unix_ns != 0);

  SECTION("its tensor is deleted, and its memory is the onlooker's alone") {
    store.remove("a/x");
    const auto dying = in_state(store, HolderState::kDying);
    REQUIRE(dying.size() == 1);
    CHECK(dying[0].name == "a/x");
    CHECK(dying[0].pid == onlooker.pid());
    CHECK(dying[0].size_bytes == 12);
    CHECK(store.holders("a/x").size() == 1);
  }
  SECTION("its tensor is replaced, and both are told apart") {
    const View view = store.put<float>("a/x", kValues, {.replace = true});
    auto holders = store.holders("a/x");
    REQUIRE(holders.size() == 2);
    std::ranges::sort(holders, {}, &Holder::state);
    CHECK(holders[0].state == HolderState::kAttached);
    CHECK(holders[0].pid == own_pid());
    CHECK(holders[0].views == 1);
    CHECK(holders[1].state == HolderState::kDying);
    CHECK(holders[1].pid == onlooker.pid());
    CHECK(holders[1].created_unix_ns == seen.created_unix_ns);
  }
  onlooker.kill();
  CHECK(eventually([&] { return in_state(store, HolderState::kDying).empty(); }));
  CHECK(eventually([&] {
    try {
      return store.holders("a/x").empty();
    } catch (const NotFoundError&) {
      return true;
    }
  }));
}

TEST_CASE("who builds a tensor holds it, and a name that nobody has is an error", "[client][holders]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::int64_t shape[] = {3};
  Builder builder = store.build("a/x", kFloat32, shape);
  REQUIRE(store.holders("a/x").size() == 1);
  CHECK(store.holders("a/x")[0].state == HolderState::kBuilding);
  CHECK(store.holders("a/x")[0].pid == own_pid());
  CHECK(in_state(store, HolderState::kBuilding).at(0).name == "a/x");
  View view = builder.publish();
  REQUIRE(store.holders("a/x").size() == 1);
  CHECK(store.holders("a/x")[0].state == HolderState::kAttached);
  CHECK(in_state(store, HolderState::kBuilding).empty());
  view = View();
  CHECK(store.holders("a/x").empty());
  CHECK_THROWS_AS(store.holders("a/y"), NotFoundError);
  CHECK_THROWS_WITH(store.holders("a/y"), contains_text("did you mean 'a/x'?"));
  CHECK_THROWS_AS(store.holders(""), InvalidArgumentError);
}

TEST_CASE("of many holders each is told once", "[client][holders]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", kValues);
  std::vector<Store> stores;
  std::vector<View> views;
  for (int i = 0; i < 40; ++i) {
    stores.push_back(daemon.connect());
    views.push_back(stores.back().attach("a/x"));
  }
  const auto holders = store.holders("a/x");
  CHECK(holders.size() == 40);
  CHECK(std::ranges::is_sorted(holders, {}, &Holder::connection));
  std::set<std::uint32_t> connections;
  for (const Holder& holder : holders) connections.insert(holder.connection);
  CHECK(connections.size() == 40);
}

TEST_CASE("holders are found behind thousands of other tensors", "[client][holders]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<std::string> names;
  for (int i = 0; i < 9000; ++i) names.push_back("many/" + std::to_string(i));
  const std::int64_t shape[] = {3};
  std::vector<PutItem> items;
  for (const std::string& name : names) items.push_back({name, {kFloat32, shape, {}, kValues.data()}});
  std::vector<View> views = store.put_many(items);
  const View last = views.back();
  views.clear();
  REQUIRE(store.holders(names.back()).size() == 1);
  CHECK(store.holders(names.back())[0].views == 1);
  CHECK(store.holders(names.front()).empty());
  store.remove(names.back());
  CHECK(in_state(store, HolderState::kDying).size() == 1);
}
