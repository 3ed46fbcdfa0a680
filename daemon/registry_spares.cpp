// Spares: drafts that are granted ahead, and taken back when something else needs their place.
#include "registry.hpp"

#include <utility>

#include "shm/name_hash.hpp"
#include "unix_time.hpp"

namespace tensord::daemon {

using protocol::quoted;
using shm::SlotState;

std::optional<SlotIndex> Registry::grant_spare(ClientId id, SlotIndex like, const Placed& placed) {
  if (const std::optional<SlotIndex> old = client(id).spare) {
    // Of another sort, which the client has forgotten; or it is writing into it just now.
    if (pinned(*old)) return std::nullopt;
    let_die(*old);
  }
  const RoomBill bill{.owner = client(id).who.uid, .size_bytes = placed.extent.size_bytes};
  if (!quotas_.may_create(bill.owner, bill.size_bytes)) return std::nullopt;
  const std::optional<SlotIndex> taken = take_slot();
  if (!taken) return std::nullopt;
  const Tensor& model = *tensors_[like];
  namespaces_.tensor_came(model.namespace_id);
  auto tensor = std::make_unique<Tensor>();
  tensor->is_spare = true;
  tensor->kind = model.kind;
  tensor->namespace_id = model.namespace_id;
  tensor->owner = bill.owner;
  tensor->creator = id;
  tensor->offset_bytes = placed.offset_bytes;
  tensor->size_bytes = model.size_bytes;
  enter_room(*tensor,
             std::make_shared<Room>(Room{placed.extent, placed.offset_bytes, model.size_bytes, 0, bill}));
  spare_bytes_ += placed.extent.size_bytes;
  client(id).spare = taken;
  occupy(*taken, std::move(tensor));
  add_to(spares_, *taken);
  return taken;
}

Result<Done> Registry::publish_spare(ClientId id, const Draft& draft, const NewTensor& wanted) {
  if (client(id).spare != draft.slot || draft.word != word(draft.slot)) {
    return Failure{Errc::kNotFound, "this connection has no such spare: it was taken back"};
  }
  Tensor* const spare = tensors_[draft.slot].get();
  const Result<Namespace*> space = namespaces_.find_or_make(wanted.name, client(id).who);
  if (!space) return space.failure();
  if (space.value()->id != spare->namespace_id || wanted.size_bytes != spare->size_bytes) {
    return Failure{Errc::kInvalidArgument, "a spare is for its own namespace and size, and " +
                                               quoted(wanted.name) + " is of another: create it"};
  }
  if (!wanted.replace && by_name_.contains(wanted.name)) return already_exists(wanted.name);
  // The spare itself is paid for.
  if (const Result<Done> may = quotas_.may_attach(client(id).who.uid); !may) return may;
  leave_spares(draft.slot);
  spare->name = wanted.name;
  spare->hash = shm::name_hash(wanted.name, catalog_.hash_seed());
  spare->spec = wanted.spec;
  spare->lifetime = wanted.lifetime;
  spare->replace = wanted.replace;
  spare->created_unix_ns = unix_now_ns();
  show(draft.slot);
  done_when(draft.slot, SlotState::kPublished);
  enter(id, draft.slot);
  announce(draft.slot);
  return Done{};
}

void Registry::leave_spares(SlotIndex slot) {
  Tensor& spare = *tensors_[slot];
  remove_from(spares_, slot);
  spare.is_spare = false;
  spare_bytes_ -= spare.room->extent.size_bytes;
  if (const auto owner = clients_.find(spare.creator); owner != clients_.end()) owner->second.spare.reset();
}

bool Registry::take_back_spares() {
  const bool any = any_spares();
  while (any_spares()) let_die(spares_.back());
  return any;
}

Result<Done> Registry::make_way(uid_t uid, std::uint64_t new_room_bytes) {
  Result<Done> may = quotas_.may_create(uid, new_room_bytes);
  for (std::size_t i = spares_.size(); !may && i-- > 0;) {
    if (tensors_[spares_[i]]->owner != uid) continue;
    let_die(spares_[i]);
    may = quotas_.may_create(uid, new_room_bytes);
  }
  return may;
}

void Registry::take_back_idle_spares() {
  for (std::size_t i = spares_.size(); i-- > 0;) {
    Tensor& spare = *tensors_[spares_[i]];
    if (spare.is_old_spare) {
      let_die(spares_[i]);
    } else {
      spare.is_old_spare = true;
    }
  }
}

}  // namespace tensord::daemon
