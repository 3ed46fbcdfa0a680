// Who pins what is dying, for those pay for it (quotas.hpp).
//
// To look at every ledger for every dying tensor, again and again, would cost too much where many are pinned.
// So one connection of each user who pins it is remembered, and as long as these still do, nobody else is
// looked for: somebody is charged for every byte, and whoever began to pin it later is found when one of them
// let go.
#include <algorithm>

#include "registry.hpp"

namespace tensord::daemon {

bool Registry::charge_pinners(SlotIndex slot) {
  Tensor& tensor = *tensors_[slot];
  const auto still_pins = [&](const Tensor::Pinner& pinner) {
    const auto client = clients_.find(pinner.client);
    return client != clients_.end() && client->second.ledger.pins(slot);
  };
  if (!tensor.pinners.empty() && std::ranges::all_of(tensor.pinners, still_pins)) return true;

  std::vector<Tensor::Pinner> pinners;
  const auto is_among = [](const std::vector<Tensor::Pinner>& some, uid_t uid) {
    return std::ranges::any_of(some, [&](const Tensor::Pinner& pinner) { return pinner.uid == uid; });
  };
  for (const auto& reader : segments_.find(tensor.room->extent.segment)->second.readers) {
    if (!reader.ledger.pins(slot)) continue;
    const uid_t uid = clients_.at(reader.client).who.uid;
    if (!is_among(pinners, uid)) pinners.push_back({uid, reader.client});
  }
  for (const Tensor::Pinner& pinner : pinners) {
    if (!is_among(tensor.pinners, pinner.uid)) quotas_.pinned(tensor.room->bill, pinner.uid);
  }
  for (const Tensor::Pinner& pinner : tensor.pinners) {
    if (!is_among(pinners, pinner.uid)) quotas_.unpinned(tensor.room->bill, pinner.uid);
  }
  tensor.pinners = std::move(pinners);
  return !tensor.pinners.empty();
}

}  // namespace tensord::daemon
