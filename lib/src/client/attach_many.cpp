// Attaching to several tensors at one moment.
//
// First each by itself, as attach() does. Then we need one moment in which all of them were published and
// the daemon was not in the middle of a batch. It is proved backwards: all were published when we attached;
// then the daemon is seen between two batches; and all are still published after that. A tensor's word never
// returns to Published, so at the moment in between all were. Only what was replaced meanwhile is attached
// again, so that batches of others, however many, disturb nobody here.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/spin.hpp"
#include "client/store_state.hpp"
#include "result.hpp"
#include "shm/name_hash.hpp"

namespace tensord {
namespace {

// How many names ahead memory is asked for: about as many misses as a core has under way at once.
constexpr std::size_t kAhead = 8;
// Each round attaches only what was replaced since the round before.
constexpr int kMaxRounds = 64;

}  // namespace

void client::Connection::prefetch_slot(std::uint64_t hash) const {
  catalog_.find(hash, [this](std::uint32_t index) {
    const shm::Slot& slot = catalog_.slot(index);
    __builtin_prefetch(&slot);
    __builtin_prefetch(slot.name);
    ledger_.prefetch(index);
    return true;
  });
}

void client::Connection::see_no_batch() {
  // A batch of some tensors is published within microseconds.
  if (spin([&] { return catalog_.batch_sequence() % 2 == 0; })) return;
  // The daemon has one thread: when it answers, it publishes nothing.
  static_cast<void>(ask_about(number()));
}

std::vector<View> client::Connection::attach_many(const std::shared_ptr<Connection>& self,
                                                  std::span<const std::string_view> names, Mode mode) {
  std::vector<View> views(names.size());
  const auto attach = [&](std::size_t i) {
    auto connection = self;  // goes into the view
    views[i] = attach_mapped(connection, names[i], mode);
    if (views[i]) return;
    views[i] = value_or_throw(attach_asking(std::move(connection), names[i], mode));
  };
  // By the time that one is attached, its cache lines are on their way: first where the index says which slot
  // it has, then the slot and our counter of it.
  std::array<std::uint64_t, 2 * kAhead> hashes{};
  for (std::size_t i = 0; i < names.size() + 2 * kAhead; ++i) {
    if (i >= 2 * kAhead) attach(i - 2 * kAhead);
    if (i >= kAhead && i - kAhead < names.size()) self->prefetch_slot(hashes[(i - kAhead) % hashes.size()]);
    if (i >= names.size()) continue;
    const std::uint64_t hash = shm::name_hash(names[i], self->catalog_.hash_seed());
    hashes[i % hashes.size()] = hash;
    self->catalog_.prefetch(hash);
  }

  for (int round = 0; round < kMaxRounds; ++round) {
    self->see_no_batch();
    bool is_one_moment = true;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (views[i].slot_->load_word().state() == shm::SlotState::kPublished) continue;
      is_one_moment = false;
      attach(i);
    }
    if (is_one_moment) return views;
  }
  throw TimeoutError("the tensors " + protocol::quoted(names.front()) + " to " +
                     protocol::quoted(names.back()) +
                     " are replaced faster than they can be attached: attach again, or publish less often");
}

std::vector<View> Store::attach_many(std::span<const std::string_view> names, Mode mode) const {
  return client::Connection::attach_many(state_->connection(), names, mode);
}

}  // namespace tensord
