// Store::holders and holders_of_all.
#include <cstdint>
#include <string>
#include <tuple>

#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/processes.hpp"
#include "client/store_state.hpp"
#include "protocol/messages.hpp"

namespace tensord {

using Of = protocol::Holders::Of;

namespace {

std::vector<Holder> ask(client::Connection& connection, Of of, std::string_view name) {
  std::vector<Holder> holders;
  client::Processes processes;
  protocol::Holders request;
  request.header.type = protocol::Holders::kType;
  request.of = of;
  request.name.assign(name);
  for (;;) {
    const auto page = connection.call<protocol::HoldersReply>(request);
    if (page.count > page.entries.size())
      client::throw_broken_daemon("the daemon sent a broken page of holders");
    for (std::uint32_t i = 0; i < page.count; ++i) {
      const auto& entry = page.entries[i];
      if (entry.state > static_cast<std::uint32_t>(HolderState::kSpare)) {
        client::throw_broken_daemon("the daemon sent a holder of an unknown kind");
      }
      holders.push_back({std::string(entry.name.view()), static_cast<HolderState>(entry.state),
                         entry.connection, entry.pid, entry.uid,
                         processes.command_of(entry.pid, page.your_pid), entry.views_untrusted,
                         entry.size_bytes, entry.created_unix_ns, entry.connected_unix_ns});
    }
    if (page.more == 0) return holders;
    // Otherwise its pages need never end.
    if (std::tie(page.next_slot, page.next_connection) <=
        std::tie(request.from_slot, request.from_connection)) {
      client::throw_broken_daemon("the daemon sent pages of holders that do not go on");
    }
    request.from_slot = page.next_slot;
    request.from_connection = page.next_connection;
  }
}

}  // namespace

const char* word_of(HolderState state) {
  switch (state) {
    case HolderState::kAttached: return "attached";
    case HolderState::kBuilding: return "building";
    case HolderState::kDying: return "dying";
    case HolderState::kSpare: return "spare";
  }
  return "?";
}

std::vector<Holder> Store::holders(std::string_view name) const {
  value_or_throw(protocol::check_name(name));
  const auto connection = state_->connection();
  std::vector<Holder> holders = ask(*connection, Of::kName, name);
  // Throws what says so if there is no such tensor, rather than that nobody holds it.
  if (holders.empty()) static_cast<void>(info(name));
  return holders;
}

std::vector<Holder> Store::holders() const { return ask(*state_->connection(), Of::kNameless, {}); }

std::vector<Holder> Store::holders_of_all(std::string_view prefix) const {
  // No name is longer, so nothing begins so; and a message has no room for it.
  if (prefix.size() > kMaxNameSize) return {};
  return ask(*state_->connection(), Of::kPrefix, prefix);
}

}  // namespace tensord
