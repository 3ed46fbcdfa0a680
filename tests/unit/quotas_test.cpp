#include "quotas.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace tensord;
using namespace tensord::daemon;

namespace {

constexpr uid_t kAlice = 1000, kBob = 1001, kCarol = 1002;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

RoomBill room_of(uid_t owner, std::uint64_t size_bytes) { return {.owner = owner, .size_bytes = size_bytes}; }

Quotas limited(const Quotas::Figures& limits) { return Quotas(limits); }

}  // namespace

TEST_CASE("without limits everybody may have everything", "[quotas]") {
  Quotas quotas;
  RoomBill room = room_of(kAlice, std::uint64_t{1} << 61);
  quotas.tensor_came(room);
  quotas.connected(kAlice);
  CHECK(quotas.may_create(kAlice, std::uint64_t{1} << 62));
  CHECK(quotas.may_attach(kAlice));
  CHECK(quotas.may_connect(kAlice));
}

TEST_CASE("a room counts once for its owner, whatever lies in it, and until the last of it dies",
          "[quotas]") {
  Quotas quotas;
  RoomBill room = room_of(kAlice, 100);
  quotas.tensor_came(room);
  quotas.tensor_came(room);
  CHECK(quotas.of(kAlice) == Quotas::Figures{.bytes = 100, .tensors = 2});
  quotas.tensor_dies(room);
  CHECK(quotas.of(kAlice) == Quotas::Figures{.bytes = 100, .tensors = 1});
  quotas.tensor_dies(room);
  CHECK(quotas.of(kAlice) == Quotas::Figures{});
}

TEST_CASE("dying bytes are charged to those who pin them, and not to who deleted", "[quotas]") {
  Quotas quotas;
  RoomBill room = room_of(kAlice, 100);
  quotas.tensor_came(room);
  quotas.tensor_came(room);
  quotas.tensor_dies(room);
  quotas.pinned(room, kBob);
  // A tensor of it lives, so its owner still pays for the bytes; the slot is Bob's already.
  CHECK(quotas.of(kBob) == Quotas::Figures{.tensors = 1});
  quotas.tensor_dies(room);
  CHECK(quotas.of(kBob) == Quotas::Figures{.tensors = 1, .dying_bytes = 100});
  quotas.pinned(room, kBob);
  quotas.pinned(room, kCarol);
  CHECK(quotas.of(kAlice) == Quotas::Figures{});
  CHECK(quotas.of(kBob) == Quotas::Figures{.tensors = 2, .dying_bytes = 100});
  CHECK(quotas.of(kCarol) == Quotas::Figures{.tensors = 1, .dying_bytes = 100});
  quotas.unpinned(room, kBob);
  CHECK(quotas.of(kBob) == Quotas::Figures{.tensors = 1, .dying_bytes = 100});
  quotas.unpinned(room, kBob);
  quotas.unpinned(room, kCarol);
  CHECK(quotas.of(kBob) == Quotas::Figures{});
  CHECK(quotas.of(kCarol) == Quotas::Figures{});
}

TEST_CASE("a refusal says which quota, what there is, what was asked and what to do", "[quotas]") {
  Quotas quotas = limited({.bytes = 4 * kMiB, .tensors = 2, .connections = 1, .dying_bytes = kMiB});
  RoomBill room = room_of(kAlice, 3 * kMiB);
  quotas.tensor_came(room);

  SECTION("bytes") {
    CHECK(quotas.may_create(kAlice, kMiB));
    const auto refused = quotas.may_create(kAlice, kMiB + 1);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == Errc::kOutOfSpace);
    for (const char* part : {"uid 1000 has 3 MiB in tensors", "asked for 1.0 MiB more", "may have 4 MiB",
                             "delete some", "--max-bytes-per-user"}) {
      CHECK_THAT(refused.failure().text, contains_text(part));
    }
    CHECK(quotas.may_create(kAlice, 0));  // joins a room that is paid for
    CHECK(quotas.may_create(kBob, 4 * kMiB));
    CHECK_FALSE(quotas.may_create(kBob, ~std::uint64_t{0}));
  }
  SECTION("tensors") {
    CHECK(quotas.may_create(kAlice, 1));
    quotas.tensor_came(room);
    const auto refused = quotas.may_create(kAlice, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == Errc::kOutOfSpace);
    for (const char* part : {"uid 1000 has 2 tensors", "may have 2", "delete some", "drop views of deleted",
                             "--max-tensors-per-user"}) {
      CHECK_THAT(refused.failure().text, contains_text(part));
    }
    CHECK(quotas.may_create(kBob, 1));
  }
  SECTION("connections") {
    CHECK(quotas.may_connect(kAlice));
    quotas.connected(kAlice);
    const auto refused = quotas.may_connect(kAlice);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == Errc::kLimitReached);
    for (const char* part :
         {"uid 1000 has 1 connections", "may have 1", "close some", "--max-connections-per-user"}) {
      CHECK_THAT(refused.failure().text, contains_text(part));
    }
    CHECK(quotas.may_connect(kBob));
    quotas.disconnected(kAlice);
    CHECK(quotas.may_connect(kAlice));
  }
  SECTION("dying bytes") {
    quotas.tensor_dies(room);
    quotas.pinned(room, kBob);
    const auto refused = quotas.may_attach(kBob);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == Errc::kOutOfSpace);
    CHECK(quotas.may_create(kBob, 1).failure().text == refused.failure().text);
    for (const char* part : {"uid 1001 has views of deleted tensors", "keep 3 MiB", "may keep 1 MiB",
                             "'tensorctl holders'", "--max-dying-bytes-per-user"}) {
      CHECK_THAT(refused.failure().text, contains_text(part));
    }
    CHECK(quotas.may_connect(kBob));
    CHECK(quotas.may_attach(kAlice));
    CHECK(quotas.may_create(kAlice, 1));
    quotas.unpinned(room, kBob);
    CHECK(quotas.may_attach(kBob));
  }
}

TEST_CASE("a limit below what is there refuses more and breaks nothing", "[quotas]") {
  // A restarted daemon may have got lower limits than the one before.
  Quotas quotas = limited({.bytes = 10, .tensors = 0, .connections = 0, .dying_bytes = 0});
  RoomBill room = room_of(kAlice, 1000);
  quotas.tensor_came(room);
  quotas.connected(kAlice);
  CHECK_FALSE(quotas.may_create(kAlice, 1));
  CHECK_FALSE(quotas.may_connect(kAlice));
  CHECK(quotas.may_attach(kAlice));
  quotas.tensor_dies(room);
  quotas.disconnected(kAlice);
  CHECK(quotas.of(kAlice) == Quotas::Figures{});
}

// The model keeps every tensor and every pin, and adds all of it up anew after each step: figures that are
// kept by adding and subtracting must agree, in any order of events. Dying tensors may be told before living
// ones of their room, as by a daemon that learns again what it had.
TEST_CASE("after any events the figures are those that a count of everything gives", "[quotas]") {
  struct ModelTensor {
    bool lives = true;
    std::set<uid_t> pinners;
  };
  struct ModelRoom {
    RoomBill bill;
    std::vector<ModelTensor> tensors;
  };
  const std::vector<uid_t> users{kAlice, kBob, kCarol, 0};
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    Quotas quotas;
    std::vector<std::unique_ptr<ModelRoom>> rooms;
    std::map<uid_t, std::uint64_t> connections;
    const auto any_user = [&] { return users[random() % users.size()]; };

    const auto counted = [&](uid_t uid) {
      Quotas::Figures figures{.connections = connections[uid]};
      for (const auto& room : rooms) {
        bool lives = false, is_pinned = false;
        for (const ModelTensor& tensor : room->tensors) {
          lives |= tensor.lives;
          is_pinned |= tensor.pinners.contains(uid);
          figures.tensors += (tensor.lives && room->bill.owner == uid ? 1 : 0) + tensor.pinners.count(uid);
        }
        if (lives && room->bill.owner == uid) figures.bytes += room->bill.size_bytes;
        if (!lives && is_pinned) figures.dying_bytes += room->bill.size_bytes;
      }
      return figures;
    };

    for (int step = 0; step < 2000; ++step) {
      const std::uint32_t dice = random() % 10;
      if (dice == 0) {
        const uid_t uid = any_user();
        if (connections[uid] != 0 && random() % 2 == 0) {
          --connections[uid];
          quotas.disconnected(uid);
        } else {
          ++connections[uid];
          quotas.connected(uid);
        }
      } else if (rooms.empty() || (dice == 1 && rooms.size() < 12)) {
        rooms.push_back(std::make_unique<ModelRoom>(ModelRoom{room_of(any_user(), random() % 1000), {}}));
      } else {
        ModelRoom& room = *rooms[random() % rooms.size()];
        if (room.tensors.empty() || (dice == 2 && room.tensors.size() < 4)) {
          room.tensors.emplace_back();
          quotas.tensor_came(room.bill);
        } else {
          ModelTensor& tensor = room.tensors[random() % room.tensors.size()];
          const uid_t uid = any_user();
          if (tensor.lives) {
            tensor.lives = dice > 6;
            if (!tensor.lives) quotas.tensor_dies(room.bill);
          } else if (tensor.pinners.erase(uid) != 0) {
            quotas.unpinned(room.bill, uid);
          } else {
            tensor.pinners.insert(uid);
            quotas.pinned(room.bill, uid);
          }
        }
      }
      for (const uid_t uid : users) REQUIRE(quotas.of(uid) == counted(uid));
    }

    std::size_t seen = 0;
    quotas.visit(0, [&](uid_t uid, const Quotas::Figures& figures) {
      ++seen;
      return figures == counted(uid) && figures != Quotas::Figures{};
    });
    std::size_t with_something = 0;
    for (const uid_t uid : users) with_something += counted(uid) == Quotas::Figures{} ? 0 : 1;
    CHECK(seen == with_something);
  }
}
