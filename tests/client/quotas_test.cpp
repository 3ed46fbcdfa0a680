// Quotas per user, as several real uids: who has used up his own is told which and why, and others go on.
// Needs root, to become the others.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "other_process.hpp"
#include "users.hpp"
#include "word.hpp"

using namespace tensord;
using tensord::test::as_user;
using tensord::test::become;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::kAlice;
using tensord::test::kBob;
using tensord::test::kServer;
using tensord::test::Other;
using tensord::test::Outcome;
using tensord::test::require;
using tensord::test::Word;

namespace {

constexpr std::size_t kMiB = 1 << 20;
const std::vector<std::byte> kMegabyte(kMiB, std::byte{7});
const std::vector<std::int64_t> kShape{kMiB};

View put_megabyte(const Store& store, const std::string& name, const PutOptions& options = {}) {
  return store.put(name, kUInt8, kShape, kMegabyte.data(), options);
}

}  // namespace

TEST_CASE("a user who has used up his bytes is told so, and another goes on", "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--max-bytes", "256MiB", "--max-bytes-per-user", "4MiB"}, kServer.uid);
  // In a row, so that the daemon grants a spare ahead: it must not be in the way of the last one, which is of
  // another namespace.
  const auto fills = [&](const std::string& space) {
    const Store store = daemon.connect();
    for (int i = 0; i < 3; ++i) put_megabyte(store, space + "/" + std::to_string(i));
    put_megabyte(store, space + "-too/3");
  };
  CHECK(as_user(kAlice, [&] { fills("alice"); }).text == "");
  const Outcome more = as_user(kAlice, [&] { put_megabyte(daemon.connect(), "alice/more"); });
  CHECK(more.code == Errc::kOutOfSpace);
  for (const char* part : {"uid 60001 has 4 MiB in tensors", "asked for 1 MiB more", "may have 4 MiB",
                           "delete some", "--max-bytes-per-user"}) {
    CHECK_THAT(more.text, contains_text(part));
  }
  // Root, too, has so much and no more.
  for (const test::User user : {kBob, test::User{0, 0}}) {
    const std::string space = "of" + std::to_string(user.uid);
    CHECK(as_user(user, [&] { fills(space); }).text == "");
    CHECK(as_user(user, [&] { put_megabyte(daemon.connect(), space + "/more"); }).code == Errc::kOutOfSpace);
  }
  const auto again = as_user(kAlice, [&] {
    const Store store = daemon.connect();
    require(store.attach("alice-too/3").as<std::uint8_t>()[0] == 7, "what she had is not there");
    store.remove("alice/0");
    put_megabyte(store, "alice/more");
  });
  CHECK(again.text == "");
}

TEST_CASE("a user who has used up his tensors is told so, and another goes on", "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--max-tensors-per-user", "3"}, kServer.uid);
  const auto puts = [&](const std::string& space, int count) {
    const Store store = daemon.connect();
    for (int i = 0; i < count; ++i) {
      store.put<float>(space + "/" + std::to_string(i), std::vector<float>{1}, {.replace = true});
    }
  };
  CHECK(as_user(kAlice, [&] { puts("alice", 3); }).text == "");
  const Outcome more = as_user(kAlice, [&] { puts("alice", 4); });
  CHECK(more.code == Errc::kOutOfSpace);
  CHECK_THAT(more.text, contains_text("uid 60001 has 3 tensors"));
  CHECK_THAT(more.text, contains_text("--max-tensors-per-user"));
  CHECK(as_user(kBob, [&] { puts("bob", 3); }).text == "");
}

TEST_CASE("a user who has used up his connections is told so, and another connects",
          "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--max-connections-per-user", "2"}, kServer.uid);
  const auto outcome = as_user(kAlice, [&] {
    std::optional<Store> first = daemon.connect();
    const Store second = daemon.connect();
    try {
      (void)daemon.connect();
      require(false, "a third connection is made");
    } catch (const LimitReachedError& error) {
      const std::string text = error.what();
      for (const char* part : {"uid 60001 has 2 connections", "may have 2", "--max-connections-per-user"}) {
        require(text.find(part) != std::string::npos, text + " lacks: " + part);
      }
    }
    first.reset();
    // The daemon hears of its end a moment later.
    const bool connects_again = eventually([&] {
      try {
        return daemon.connect().names().empty();
      } catch (const LimitReachedError&) {
        return false;
      }
    });
    require(connects_again, "no other connection is made in place of one that was closed");
  });
  CHECK(outcome.text == "");

  const Word ready, go;
  Other holder([&] {
    if (!become(kAlice)) return 1;
    const Store first = daemon.connect(), second = daemon.connect();
    ready.say('.');
    return go.hear() == '.' ? 0 : 1;
  });
  REQUIRE(ready.hear() == '.');
  CHECK(as_user(kAlice, [&] { (void)daemon.connect(); }).code == Errc::kLimitReached);
  CHECK(as_user(kBob, [&] { (void)daemon.connect(); }).text == "");
  go.say('.');
  CHECK(holder.join() == 0);
}

TEST_CASE("who deletes is not charged for what another pins; who pins is, and lets go",
          "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  // Everybody may read everything. Alice's 4 MiB, which Bob pins, are more than he may keep.
  const DaemonProcess daemon(
      {"--namespace-mode", "0644", "--max-bytes-per-user", "4MiB", "--max-dying-bytes-per-user", "3MiB"},
      kServer.uid);
  const auto alice_fills = [&](bool deletes) {
    const Store store = daemon.connect();
    for (int i = 0; i < 4; ++i) {
      put_megabyte(store, "alice/" + std::to_string(i));
      if (deletes) store.remove("alice/" + std::to_string(i));
    }
  };
  REQUIRE(as_user(kAlice, [&] { alice_fills(false); }).text == "");

  const Word holds, deleted, refused, go;
  Other bob([&] {
    try {
      require(become(kBob), "cannot become bob");
      const Store store = daemon.connect();
      std::vector<View> views;
      for (int i = 0; i < 4; ++i) views.push_back(store.attach("alice/" + std::to_string(i)));
      holds.say('.');
      require(deleted.hear() == '.', "nobody deletes");
      const auto is_refused = [](const std::function<void()>& act) {
        try {
          act();
        } catch (const OutOfSpaceError& error) {
          const std::string text = error.what();
          for (const char* part : {"uid 60002 has views of deleted tensors, which keep 4 MiB",
                                   "may keep 3 MiB", "'tensorctl holders'", "--max-dying-bytes-per-user"}) {
            require(text.find(part) != std::string::npos, text + " lacks: " + part);
          }
          return true;
        }
        return false;
      };
      require(is_refused([&] { store.put<float>("bob/x", std::vector<float>{1}); }), "bob may put");
      // A segment that he has mapped he needs not ask for: that one is of another namespace.
      require(is_refused([&] { (void)store.attach("root/x"); }), "bob may attach");
      refused.say('.');
      require(go.hear() == '.', "nobody goes on");
      views.pop_back();
      store.put<float>("bob/x", std::vector<float>{1});
      require(store.attach("root/x").as<float>()[0] == 2, "bob may not attach");
      return 0;
    } catch (const std::exception&) {
      holds.say('!');
      refused.say('!');
      throw;
    }
  });
  REQUIRE(holds.hear() == '.');
  const auto alice_goes_on = as_user(kAlice, [&] {
    const Store store = daemon.connect();
    for (const std::string& name : store.names("alice/")) store.remove(name);
    // All that she may have, again and again, although what she had is still there.
    for (int round = 0; round < 3; ++round) alice_fills(true);
    alice_fills(false);
  });
  CHECK(alice_goes_on.text == "");
  const Store root = daemon.connect();
  CHECK(root.stats().dying_bytes == 4 * kMiB);
  root.put<float>("root/x", std::vector<float>{2});
  deleted.say('.');
  CHECK(refused.hear() == '.');
  // Those who have done nothing attach as before.
  CHECK(root.attach("alice/3").as<std::uint8_t>()[0] == 7);
  go.say('.');
  CHECK(bob.join() == 0);
  CHECK(eventually([&] { return root.stats().dying_bytes == 0; }));
}

TEST_CASE("each user is told what he has and may have, and root and the daemon's user what all have",
          "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--namespace-mode", "0644", "--max-bytes", "256MiB", "--max-bytes-per-user",
                              "4MiB", "--max-tensors-per-user", "30"},
                             kServer.uid);
  REQUIRE(as_user(kAlice, [&] {
            put_megabyte(daemon.connect(), "alice/x");
            put_megabyte(daemon.connect(), "alice/y");
          }).text == "");
  const Store root = daemon.connect();
  const View view = root.attach("alice/x");
  root.remove("alice/x");
  CHECK(eventually([&] { return root.users().size() == 2; }));  // alice has hung up

  const std::vector<UserStats> all = root.users();
  REQUIRE(all.size() == 2);
  CHECK(all[0].uid == 0);
  CHECK(all[0].used_bytes == 0);
  CHECK(all[0].dying_bytes == kMiB);
  CHECK(all[0].tensors == 1);
  CHECK(all[0].connections == 1);
  CHECK(all[0].max_bytes == 4 * kMiB);
  CHECK(all[0].max_dying_bytes == 4 * kMiB);
  CHECK(all[0].max_tensors == 30);
  CHECK(all[0].max_connections == root.stats().max_connections);
  CHECK(all[1].uid == kAlice.uid);
  CHECK(all[1].used_bytes == kMiB);
  CHECK(all[1].dying_bytes == 0);
  CHECK(all[1].tensors == 1);
  CHECK(as_user(kAlice, [&] {
          const auto users = daemon.connect().users();
          require(users.size() == 1 && users[0].uid == kAlice.uid && users[0].used_bytes == kMiB,
                  "of others");
          require(users[0].connections == 1, "she is connected");
        }).text == "");
  CHECK(as_user(kServer, [&] {
          require(daemon.connect().users().size() == 3, "the daemon's user sees less");
        }).text == "");
}

TEST_CASE("users come in pages, and all of them once", "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  constexpr uid_t kFirst = 61'000;
  constexpr std::size_t kUsers = 60;
  const DaemonProcess daemon({}, kServer.uid);
  for (std::size_t i = 0; i < kUsers; ++i) {
    const auto uid = static_cast<uid_t>(kFirst + i);
    REQUIRE(as_user({uid, uid}, [&] {
              daemon.connect().put<float>("n" + std::to_string(uid) + "/x", std::vector<float>{1});
            }).text == "");
  }
  const Store root = daemon.connect();
  const std::vector<UserStats> all = root.users();
  REQUIRE(all.size() == kUsers + 1);
  for (std::size_t i = 0; i < kUsers; ++i) {
    CHECK(all[i + 1].uid == kFirst + i);
    CHECK(all[i + 1].tensors == 1);
  }
}

TEST_CASE("without a limit for dying bytes, the one for bytes holds for both", "[client][users][quotas]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--max-bytes-per-user", "2MiB"}, kServer.uid);
  const Outcome outcome = as_user(kAlice, [&] {
    const Store store = daemon.connect();
    std::vector<View> views;
    for (int i = 0; i < 8; ++i) views.push_back(put_megabyte(store, "alice/x", {.replace = true}));
  });
  CHECK(outcome.code == Errc::kOutOfSpace);
  CHECK_THAT(outcome.text, contains_text("keep 3 MiB of memory, and may keep 2 MiB"));
}
