// Store::holders and holders_of_all.
#include <cstdint>
#include <string>
#include <tuple>

#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/pages.hpp"
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
  client::visit_pages<protocol::HoldersReply>(
      connection, request, "holders",
      [](auto& asked) { return std::tie(asked.from_slot, asked.from_connection); },
      [](const auto& page) { return std::tie(page.next_slot, page.next_connection); },
      [&](const auto& entry, const auto& page) {
        if (entry.state > static_cast<std::uint32_t>(HolderState::kSpare)) {
          client::throw_broken_daemon("the daemon sent a holder of an unknown kind");
        }
        holders.push_back({std::string(entry.name.view()), static_cast<HolderState>(entry.state),
                           entry.connection, entry.pid, entry.uid,
                           processes.command_of(entry.pid, page.your_pid), entry.views_untrusted,
                           entry.size_bytes, entry.created_unix_ns, entry.connected_unix_ns});
      });
  return holders;
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
