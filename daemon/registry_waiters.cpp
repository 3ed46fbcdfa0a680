// Who sleeps, and for what: for people who look for what a program hangs on. The sleepers say so themselves,
// in their ledgers (shm/ledger.hpp); the daemon keeps nothing of it, and believes nothing of it either: a
// name that could be none, or a tensor that its client does not even pin, is left out.
#include <algorithm>

#include "protocol/tensor_spec.hpp"
#include "registry.hpp"

namespace tensord::daemon {

std::vector<Registry::Waiter> Registry::waiters_of(ClientId id,
                                                   const std::function<bool(const Waiter&)>& is_shown) const {
  const Client& client = clients_.at(id);
  std::vector<Waiter> waiters;
  for (std::uint32_t cell = 0; cell < shm::kShownWaits; ++cell) {
    auto wait = client.ledger.wait_untrusted(cell);
    if (!wait) continue;
    Waiter waiter{id, client.who, std::move(wait->name), WaitsFor::kName, wait->since_unix_ns};
    if (const SlotIndex slot = wait->slot; slot != shm::Wait::kNoSlot) {
      if (slot >= tensors_.size() || tensors_[slot] == nullptr || !client.ledger.pins(slot)) continue;
      waiter.name = tensors_[slot]->name;
      waiter.waits_for = WaitsFor::kNewVersion;
    }
    if (protocol::check_name(waiter.name) && is_shown(waiter)) waiters.push_back(std::move(waiter));
  }
  return waiters;
}

std::optional<ClientId> Registry::visit_waiters(
    ClientId asker, bool sees_all, ClientId from,
    const std::function<bool(const std::vector<Waiter>&)>& visit) const {
  const Credentials& who = clients_.at(asker).who;
  const auto is_shown = [&](const Waiter& waiter) {
    return sees_all || waiter.who.uid == who.uid || namespaces_.check(waiter.name, who, Right::kRead);
  };
  std::vector<ClientId> ids;
  for (const auto& [id, client] : clients_) {
    if (id >= from) ids.push_back(id);
  }
  std::ranges::sort(ids);
  for (const ClientId id : ids) {
    const std::vector<Waiter> waiters = waiters_of(id, is_shown);
    if (!waiters.empty() && !visit(waiters)) return id;
  }
  return std::nullopt;
}

}  // namespace tensord::daemon
