// Quotas: what each user (uid) has of the store, and whether he may have more.
// Question it answers: whose is this memory, now, and is it too much?
//
// A room is paid by its owner while one of its tensors lives. When the last of them was deleted, only views
// keep its bytes, so those pay who have the views: each user who pins a tensor of it, and nobody else. It is
// the same with a tensor's slot.
//
//   of a user      counts                                             more is refused as
//     bytes        rooms with a tensor of his that lives              kOutOfSpace
//     tensors      his that live, and deleted ones that he pins       kOutOfSpace
//     connections                                                     kLimitReached
//     dying bytes  rooms without a living tensor in which he pins one kOutOfSpace
//
// The first three are refused before they are had. Pins are not asked for, so dying bytes are only noticed:
// whoever has too many may neither make a tensor nor be granted a segment until he has dropped some views.
// Spares are their owner's living tensors. Root and the daemon's own user count like everybody.
//
// Threads  one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "result.hpp"

namespace tensord::daemon {

// Who pays for a room. Its fields are Quotas' business.
struct RoomBill {
  struct Pinner {
    uid_t uid = 0;
    std::uint32_t tensors = 0;  // dying ones of this room that he pins
  };
  uid_t owner = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t living = 0;  // building or published
  std::vector<Pinner> pinners{};
};

class Quotas {
 public:
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
  struct Figures {
    std::uint64_t bytes = 0;
    std::uint64_t tensors = 0;
    std::uint64_t connections = 0;
    std::uint64_t dying_bytes = 0;
    friend bool operator==(const Figures&, const Figures&) = default;
  };
  static constexpr Figures kNoLimits{kNoLimit, kNoLimit, kNoLimit, kNoLimit};

  explicit Quotas(const Figures& limits = kNoLimits) : limits_(limits) {}

  // ---- whether he may; the failure says which quota, what he has, the limit, and what to do ----
  // One tensor more; new_room_bytes are 0 if it joins a room of his. Fails with kOutOfSpace.
  [[nodiscard]] Result<Done> may_create(uid_t uid, std::uint64_t new_room_bytes) const;
  // A segment granted. Fails with kOutOfSpace.
  [[nodiscard]] Result<Done> may_attach(uid_t uid) const;
  // One connection more. Fails with kLimitReached.
  [[nodiscard]] Result<Done> may_connect(uid_t uid) const;

  // ---- what happens; nothing of it fails, for a restarted daemon only says what is there already ----
  void connected(uid_t uid) { ++users_[uid].connections; }
  void disconnected(uid_t uid);
  // One living tensor more in the room. The first one makes the room.
  void tensor_came(RoomBill& room);
  // One living tensor less. REQUIRES: it came.
  void tensor_dies(RoomBill& room);
  // This user pins one dying tensor more of the room, or less. Once a tensor, however many views he has.
  void pinned(RoomBill& room, uid_t uid);
  void unpinned(RoomBill& room, uid_t uid);

  // ---- looking ----
  [[nodiscard]] const Figures& limits() const { return limits_; }
  [[nodiscard]] Figures of(uid_t uid) const;
  // Calls visit(uid, figures) for all who have anything, from this uid on, until it returns false.
  void visit(uid_t from, const std::function<bool(uid_t, const Figures&)>& visit) const;

 private:
  [[nodiscard]] Result<Done> check_dying(uid_t uid, const Figures& has) const;
  void forget_if_nothing(uid_t uid);

  Figures limits_;
  std::map<uid_t, Figures> users_;  // who has nothing is not in it
};

}  // namespace tensord::daemon
