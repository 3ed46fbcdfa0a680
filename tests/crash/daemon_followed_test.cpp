// A daemon that is kept dies, at any moment, and the next one goes on: nothing is lost, and nobody hears of
// it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "kept_store.hpp"
#include "other_process.hpp"
#include "values.hpp"

using namespace tensord;
using tensord::test::eventually;
using tensord::test::KeptStore;
using tensord::test::Other;

namespace {

using Values = std::vector<float>;

Values values(float first, std::size_t count = 16) {
  Values all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = first + static_cast<float>(i);
  return all;
}

const std::vector<std::int64_t> kShape{16};

Array array(const Values& all, const std::vector<std::int64_t>& shape) {
  return {.dtype = kFloat32, .shape = shape, .data = all.data()};
}

bool holds(const View& view, const Values& expected) { return tensord::test::holds(view, expected); }

std::vector<std::string> names(const Store& store) {
  std::vector<std::string> all = store.names();
  std::ranges::sort(all);
  return all;
}

// What must be true when nothing is left: no byte, no draft, no dying tensor.
void check_empty(const Store& store) {
  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] {
    const StoreStats stats = store.stats();
    return stats.tensors == 0 && stats.building_tensors == 0 && stats.dying_tensors == 0 &&
           stats.used_bytes == 0 && stats.dying_bytes == 0;
  }));
  const StoreStats stats = store.stats();
  INFO("building " << stats.building_tensors << ", dying " << stats.dying_tensors << ", used "
                   << stats.used_bytes);
  CHECK(stats.used_bytes == 0);
}

}  // namespace

TEST_CASE(
    "when a daemon that is kept is killed, the next one has every name, byte, view, draft and connection",
    "[crash]") {
  const KeptStore kept;
  const Store store = kept.connect();
  const Store other = kept.connect();
  View sealed = store.put<float>("a/sealed", values(1));
  View live = store.put<float>("b/live", values(2), {.kind = Kind::kLive});
  View deleted = other.put<float>("a/deleted", values(3));
  store.put<float>("long/" + std::string(200, 'n'), values(4));
  store.put<float>("a/bound", values(5), {.lifetime = Lifetime::kClient});
  store.remove("a/deleted");
  Builder draft = store.build("c/draft", kFloat32, kShape);
  Builder dropped = store.build("c/dropped", kFloat32, kShape);
  const std::vector<std::string> before = names(store);
  const StoreStats stats = store.stats();

  for (int round = 0; round < 3; ++round) {
    const pid_t daemon = KeptStore::daemon_pid(store);
    REQUIRE(::kill(daemon, SIGKILL) == 0);
    CHECK(names(other) == before);
    CHECK(KeptStore::daemon_pid(store) != daemon);
    const StoreStats after = store.stats();
    CHECK(after.used_bytes == stats.used_bytes);
    CHECK(after.dying_bytes == stats.dying_bytes);
    CHECK(after.building_tensors == 2);
    CHECK(after.connections == 2);
    CHECK(after.segments == stats.segments);
  }
  CHECK(holds(sealed, values(1)));
  CHECK(holds(deleted, values(3)));
  CHECK(holds(other.attach("a/sealed"), values(1)));
  CHECK(holds(kept.connect().attach("b/live"), values(2)));
  live.writing().end();
  CHECK(other.attach("b/live").version() == 1);

  const Values six = values(6);
  std::ranges::copy(std::as_bytes(std::span(six)), draft.mutable_data());
  CHECK(holds(draft.publish(), values(6)));
  { const Builder gone = std::move(dropped); }
  deleted.reset();
  CHECK(eventually([&] { return store.stats().dying_tensors == 0; }));
  CHECK_THROWS_AS(store.put<float>("a/sealed", values(7)), AlreadyExistsError);
  CHECK_THROWS_AS(store.attach("a/none"), NotFoundError);
  sealed.reset();
  live.reset();
  check_empty(store);
}

TEST_CASE("a client that dies while there is no daemon is missed by the next one", "[crash]") {
  const KeptStore kept;
  Other other([&] {
    const Store own = kept.connect();
    const View held = own.put<float>("a/shared", values(1));
    own.put<float>("a/bound", values(2), {.lifetime = Lifetime::kClient});
    const Builder draft = own.build("a/draft", kFloat32, kShape);
    own.put<float>("a/ready", values(3));
    ::pause();
    return 0;
  });
  const Store store = kept.connect();
  REQUIRE(eventually([&] { return store.contains("a/ready"); }));
  CHECK(store.stats().connections == 2);
  CHECK(store.stats().building_tensors == 1);
  // Stopped, so that the daemon cannot look before both are gone.
  const pid_t daemon = KeptStore::daemon_pid(store);
  ::kill(daemon, SIGSTOP);
  other.kill();
  ::kill(daemon, SIGKILL);
  CHECK(eventually([&] { return store.stats().connections == 1; }));
  CHECK(names(store) == std::vector<std::string>{"a/ready", "a/shared"});
  check_empty(store);
}

TEST_CASE("requests in flight when the daemon is killed are each done once", "[crash]") {
  const KeptStore kept({"--keep-warm", "0"});
  const Store store = kept.connect();
  constexpr int kKills = 60;
  std::atomic<bool> over{false};
  std::atomic<int> kills{0};
  std::atomic<int> operations{0};
  std::jthread killer([&] {
    const Store own = kept.connect();
    // On a slow machine, or under a sanitizer, no daemon might live long enough to get anything done.
    for (int in_vain = 0; !over && kills < kKills; ++kills) {
      const int before = operations;
      std::this_thread::sleep_for(std::chrono::milliseconds(3 + kills % 20 + 20 * in_vain));
      KeptStore::kill_daemon(own);
      in_vain = operations == before ? in_vain + 1 : 0;
    }
  });
  std::map<std::string, float> model;
  std::vector<std::pair<View, float>> held;
  float stamp = 0;
  const auto one_operation = [&] {
    ++stamp;
    const std::string name = "n/" + std::to_string(static_cast<int>(stamp) * 7 % 40);
    switch (static_cast<int>(stamp) % 5) {
      case 0:
      case 1: {
        const View view = store.put<float>(name, values(stamp, 2000), {.replace = true});
        model[name] = stamp;
        if (held.size() < 20) held.emplace_back(view, stamp);
        break;
      }
      case 2:
        if (model.contains(name)) {
          REQUIRE_NOTHROW(store.remove(name));  // NotFoundError, had it been done twice
          model.erase(name);
        } else {
          REQUIRE_THROWS_AS(store.remove(name), NotFoundError);
        }
        break;
      case 3: {
        if (model.contains(name)) {
          REQUIRE_THROWS_AS(store.put<float>(name, values(stamp)), AlreadyExistsError);
        } else {
          REQUIRE_NOTHROW(store.put<float>(name, values(stamp, 2000)));
          model[name] = stamp;
        }
        break;
      }
      default: {
        const Values one = values(stamp, 2000);
        const std::vector<std::int64_t> shape{2000};
        const std::string second = name + "/second";
        store.put_many(std::vector<PutItem>{{name, array(one, shape)}, {second, array(one, shape)}},
                       {.replace = true});
        model[name] = model[second] = stamp;
        held.clear();
      }
    }
  };
  try {
    for (; kills < kKills; ++operations) one_operation();
  } catch (const std::exception& error) {
    over = true;
    FAIL("operation " << stamp << ": " << error.what() << "\n" << kept.log());
  }
  over = true;
  killer.join();
  for (const auto& [view, first] : held) CHECK(holds(view, values(first, 2000)));
  held.clear();
  std::vector<std::string> expected;
  for (const auto& [name, first] : model) {
    expected.push_back(name);
    CHECK(holds(store.attach(name), values(first, 2000)));
  }
  CHECK(names(store) == expected);
  check_empty(store);
}

TEST_CASE("a daemon that dies at any named point has done what it was asked once, when the next one answers",
          "[crash]") {
  const KeptStore kept({"--keep-warm", "0", "--log-level", "debug"});
  const auto everything = [&](const Store& store, float stamp) {
    // Whatever the daemon does for a client, at least once.
    const std::string of = "r/" + std::to_string(static_cast<int>(stamp)) + "/";
    std::vector<View> held;
    held.push_back(store.put<float>(of + "new", values(stamp)));
    for (int i = 0; i < 4; ++i)
      held.push_back(store.put<float>(of + "row" + std::to_string(i), values(stamp)));
    held.push_back(store.put<float>(of + "new", values(stamp + 1), {.replace = true}));
    const Values one = values(stamp), two = values(stamp + 2);
    for (const View& view : store.put_many(
             std::vector<PutItem>{{of + "b0", array(one, kShape)}, {of + "row0", array(two, kShape)}},
             {.replace = true})) {
      held.push_back(view);
    }
    store.put<float>(of + "live", values(stamp), {.kind = Kind::kLive});
    store.put<float>(of + "bound", values(stamp), {.lifetime = Lifetime::kClient});
    { const Builder dropped = store.build(of + "drop", kFloat32, kShape); }
    store.remove(of + "row1");
    store.put<float>(of + "large", values(stamp, 12'000'000));
    store.remove(of + "large");
    {
      const Store second = kept.connect();
      const View seen = second.attach(of + "b0");
      second.put<float>(of + "of-second", values(stamp));
      second.put<float>(of + "bound-to-second", values(stamp), {.lifetime = Lifetime::kClient});
    }
    CHECK(eventually([&] { return store.stats().connections == 1; }));

    CHECK(holds(held[0], values(stamp)));
    CHECK(holds(store.attach(of + "new"), values(stamp + 1)));
    CHECK(holds(store.attach(of + "row0"), values(stamp + 2)));
    std::vector<std::string> expected;
    for (const char* name : {"b0", "bound", "live", "new", "of-second", "row0", "row2", "row3"}) {
      expected.push_back(of + name);
    }
    CHECK(names(store) == expected);
  };

  float stamp = 0;
  std::set<std::string> reached;
  for (const char* point :
       {"client.entered",   "client.kept",     "client.greeted",  "client.goes",      "client.gone",
        "segment.kept",     "segment.entered", "segment.granted", "segment.dropped",  "draft.begun",
        "slot.described",   "tensor.enters",   "tensor.entered",  "tensor.published", "batch.checked",
        "batch.begins",     "batch.entered",   "tensor.unlisted", "tensor.dies",      "slot.freed",
        "message.answered", "request.done",    "request.answered"}) {
    for (const int count : {1, 2, 5, 9}) {
      const Store store = kept.connect();
      INFO("at " << point << ", reached for the " << count << "th time");
      kept.let_daemon_die_at(store, point, count);
      try {
        everything(store, ++stamp);
      } catch (const std::exception& error) {
        FAIL(error.what() << "\n" << kept.log());
      }
      if (kept.did_die()) reached.insert(point);
      check_empty(store);
    }
    CHECK(reached.contains(point));
  }
  const Store store = kept.connect();
  // And at every hundredth point of all, in the order that they come, whichever that is.
  for (int count = 1; count < 200; count += 7) {
    INFO("at the " << count << "th point");
    kept.let_daemon_die_at(store, "*", count);
    everything(store, ++stamp);
    static_cast<void>(kept.did_die());
    check_empty(store);
  }
}
