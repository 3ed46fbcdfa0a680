// Who holds what: for people who look for memory, so it may take a walk over all slots. Nothing is kept for
// it but the time of each connection: pins are counted in the ledgers alone, where no time is written down.
//
// The walk goes by slot and then by connection, both only ever upwards, so that a place is enough to go on
// from whatever has changed in between.
#include <algorithm>

#include "registry.hpp"

namespace tensord::daemon {

using shm::SlotState;
using Of = protocol::Holders::Of;

std::vector<Registry::Holder> Registry::holders_of(SlotIndex slot, ClientId from) const {
  const Tensor& tensor = *tensors_[slot];
  std::vector<Holder> holders;
  const auto add = [&](ClientId id, HolderState state) {
    const Client& client = clients_.at(id);
    const std::uint32_t views = client.ledger.pins_untrusted(slot);
    if (id < from || (views == 0 && tensor.state != SlotState::kBuilding)) return;
    holders.push_back({{slot, id}, state, client.who, client.connected_unix_ns, views});
  };
  if (tensor.state == SlotState::kBuilding) {
    // It is its builder's, whoever else claims to look at it.
    add(tensor.creator, tensor.is_spare ? HolderState::kSpare : HolderState::kBuilding);
    return holders;
  }
  const HolderState state = tensor.state == SlotState::kDying ? HolderState::kDying : HolderState::kAttached;
  for (const auto& reader : segments_.find(tensor.room->extent.segment)->second.readers) {
    add(reader.client, state);
  }
  std::ranges::sort(holders, {}, [](const Holder& holder) { return holder.place.client; });
  return holders;
}

Result<std::optional<Registry::HolderPlace>> Registry::visit_holders(
    ClientId asker, bool sees_all, const HeldBy& asked_for, HolderPlace from,
    const std::function<bool(const Holder&)>& visit) const {
  const Credentials& who = clients_.at(asker).who;
  if (asked_for.of == Of::kName && !sees_all) {
    if (const Result<Done> allowed = namespaces_.check(asked_for.text, who, Right::kRead); !allowed) {
      return allowed.failure();
    }
  }
  const auto is_asked_for = [&](const Tensor& tensor) {
    if (asked_for.of == Of::kName) return tensor.name == asked_for.text;
    const bool fits = asked_for.of == Of::kNameless ? tensor.state != SlotState::kPublished
                                                    : tensor.name.starts_with(asked_for.text);
    return fits && (sees_all || namespaces_.check(tensor.namespace_id, who, Right::kRead));
  };
  SlotIndex slots_left = kSlotsLookedAt;
  for (SlotIndex slot = from.slot; slot < slots_.reached(); ++slot) {
    if (slots_left-- == 0) return std::optional<HolderPlace>({slot, 0});
    if (tensors_[slot] == nullptr || !is_asked_for(*tensors_[slot])) continue;
    for (const Holder& holder : holders_of(slot, slot == from.slot ? from.client : 0)) {
      if (!visit(holder)) return std::optional<HolderPlace>(holder.place);
    }
  }
  return std::optional<HolderPlace>();
}

}  // namespace tensord::daemon
