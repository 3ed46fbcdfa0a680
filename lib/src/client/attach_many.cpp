// Attaching to several tensors at one moment.
//
// First each by itself, as attach() does. Then we need one moment in which all of them were published and
// the daemon was not in the middle of a batch. It is proved backwards: all were published when we attached;
// then the daemon is seen between two batches; and all are still published after that. A tensor's word never
// returns to Published, so at the moment in between all were. Only what was replaced meanwhile is attached
// again, so that batches of others, however many, disturb nobody here.
#include <string>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/spin.hpp"
#include "client/store_state.hpp"
#include "result.hpp"

namespace tensord {
namespace {

// Each round attaches only what was replaced since the round before.
constexpr int kMaxRounds = 64;

}  // namespace

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
  for (std::size_t i = 0; i < names.size(); ++i) attach(i);

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
                     protocol::quoted(names.back()) + " are replaced faster than they can be attached");
}

std::vector<View> Store::attach_many(std::span<const std::string_view> names, Mode mode) const {
  return client::Connection::attach_many(state_->connection(), names, mode);
}

}  // namespace tensord
