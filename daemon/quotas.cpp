#include "quotas.hpp"

#include <algorithm>
#include <cassert>
#include <string>

#include "human.hpp"

namespace tensord::daemon {
namespace {

// Whether `asked` more are too many. What is there may be above the limit, for nobody is asked about pins,
// and a restarted daemon may have got a lower limit.
bool exceeds(std::uint64_t has, std::uint64_t asked, std::uint64_t limit) {
  return has > limit || asked > limit - has;
}

std::string name_of(uid_t uid) { return "uid " + std::to_string(uid); }

}  // namespace

// ---- whether he may -----------------------------------------------------------------------------

Result<Done> Quotas::may_create(uid_t uid, std::uint64_t new_room_bytes) const {
  const Figures has = of(uid);
  if (const Result<Done> done = check_dying(uid, has); !done) return done;
  if (exceeds(has.tensors, 1, limits_.tensors)) {
    return Failure{Errc::kOutOfSpace,
                   name_of(uid) + " has " + std::to_string(has.tensors) +
                       " tensors, deleted ones that it views included, asked for one more, " +
                       "and may have " + std::to_string(limits_.tensors) +
                       ": delete some, drop views of deleted ones, or raise " + "--max-tensors-per-user"};
  }
  if (new_room_bytes != 0 && exceeds(has.bytes, new_room_bytes, limits_.bytes)) {
    return Failure{Errc::kOutOfSpace, name_of(uid) + " has " + human_bytes(has.bytes) +
                                          " in tensors, asked for " + human_bytes(new_room_bytes) +
                                          " more, and may have " + human_bytes(limits_.bytes) +
                                          ": delete some, or raise --max-bytes-per-user"};
  }
  return Done{};
}

Result<Done> Quotas::may_attach(uid_t uid) const { return check_dying(uid, of(uid)); }

Result<Done> Quotas::may_connect(uid_t uid) const {
  const Figures has = of(uid);
  if (exceeds(has.connections, 1, limits_.connections)) {
    return Failure{Errc::kLimitReached, name_of(uid) + " has " + std::to_string(has.connections) +
                                            " connections, and may have " +
                                            std::to_string(limits_.connections) +
                                            ": close some, or raise --max-connections-per-user"};
  }
  return Done{};
}

Result<Done> Quotas::check_dying(uid_t uid, const Figures& has) const {
  if (has.dying_bytes <= limits_.dying_bytes) return Done{};
  return Failure{Errc::kOutOfSpace,
                 name_of(uid) + " has views of deleted tensors, which keep " + human_bytes(has.dying_bytes) +
                     " of memory, and may keep " + human_bytes(limits_.dying_bytes) +
                     ": drop some ('tensorctl holders' names them), or raise --max-dying-bytes-per-user"};
}

// ---- what happens -------------------------------------------------------------------------------

void Quotas::disconnected(uid_t uid) {
  --users_.at(uid).connections;
  forget_if_nothing(uid);
}

void Quotas::tensor_came(RoomBill& room) {
  Figures& owner = users_[room.owner];
  ++owner.tensors;
  if (room.living++ != 0) return;
  owner.bytes += room.size_bytes;
  // Only while a daemon learns again what it had: dying tensors of a room may be told before living ones.
  for (const RoomBill::Pinner& pinner : room.pinners) users_.at(pinner.uid).dying_bytes -= room.size_bytes;
}

void Quotas::tensor_dies(RoomBill& room) {
  assert(room.living != 0);
  Figures& owner = users_.at(room.owner);
  --owner.tensors;
  if (--room.living == 0) {
    owner.bytes -= room.size_bytes;
    for (const RoomBill::Pinner& pinner : room.pinners) users_.at(pinner.uid).dying_bytes += room.size_bytes;
  }
  forget_if_nothing(room.owner);
}

void Quotas::pinned(RoomBill& room, uid_t uid) {
  Figures& user = users_[uid];
  ++user.tensors;
  const auto found = std::ranges::find(room.pinners, uid, &RoomBill::Pinner::uid);
  if (found != room.pinners.end()) {
    ++found->tensors;
    return;
  }
  room.pinners.push_back({uid, 1});
  if (room.living == 0) user.dying_bytes += room.size_bytes;
}

void Quotas::unpinned(RoomBill& room, uid_t uid) {
  Figures& user = users_.at(uid);
  --user.tensors;
  const auto found = std::ranges::find(room.pinners, uid, &RoomBill::Pinner::uid);
  assert(found != room.pinners.end());
  if (--found->tensors == 0) {
    room.pinners.erase(found);
    if (room.living == 0) user.dying_bytes -= room.size_bytes;
  }
  forget_if_nothing(uid);
}

void Quotas::forget_if_nothing(uid_t uid) {
  if (const auto user = users_.find(uid); user->second == Figures{}) users_.erase(user);
}

// ---- looking ------------------------------------------------------------------------------------

Quotas::Figures Quotas::of(uid_t uid) const {
  const auto user = users_.find(uid);
  return user == users_.end() ? Figures{} : user->second;
}

void Quotas::visit(uid_t from, const std::function<bool(uid_t, const Figures&)>& visit) const {
  for (auto user = users_.lower_bound(from); user != users_.end(); ++user) {
    if (!visit(user->first, user->second)) return;
  }
}

}  // namespace tensord::daemon
