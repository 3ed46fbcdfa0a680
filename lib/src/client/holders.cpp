// Store::holders. The daemon tells pids, as it sees them. What the processes are called is looked up here,
// with the rights of who asks; and not at all if the daemon sees other pids than we do (containers): then the
// same number would be somebody else.
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <unordered_map>

#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/store_state.hpp"
#include "protocol/messages.hpp"

namespace tensord {
namespace {

// A process may call itself anything: nothing of it is to move the cursor of who reads it.
std::string command_of(std::uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string command(std::istreambuf_iterator<char>(file), {});
  if (command.ends_with('\n')) command.pop_back();
  for (char& c : command) {
    if (c < ' ' || c > '~') c = '?';
  }
  return command.empty() ? "?" : command;
}

std::vector<Holder> ask(client::Connection& connection, std::string_view name) {
  std::vector<Holder> holders;
  std::unordered_map<std::uint32_t, std::string> commands;
  protocol::Holders request;
  request.header.type = protocol::Holders::kType;
  request.name.assign(name);
  for (;;) {
    const auto page = connection.call<protocol::HoldersReply>(request);
    if (page.count > page.entries.size()) throw InternalError("the daemon sent a broken page of holders");
    const bool same_pids = page.your_pid == static_cast<std::uint32_t>(::getpid());
    for (std::uint32_t i = 0; i < page.count; ++i) {
      const auto& entry = page.entries[i];
      if (entry.state > static_cast<std::uint32_t>(HolderState::kSpare)) {
        throw InternalError("the daemon sent a holder of an unknown kind");
      }
      std::string& command = commands[entry.pid];
      if (command.empty()) command = same_pids && entry.pid != 0 ? command_of(entry.pid) : "?";
      holders.push_back({std::string(entry.name.view()), static_cast<HolderState>(entry.state),
                         entry.connection, entry.pid, entry.uid, command, entry.views_untrusted,
                         entry.size_bytes, entry.created_unix_ns, entry.connected_unix_ns});
    }
    if (page.more == 0) return holders;
    // Otherwise its pages need never end.
    if (std::tie(page.next_slot, page.next_connection) <=
        std::tie(request.from_slot, request.from_connection)) {
      throw InternalError("the daemon sent pages of holders that do not go on");
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
  std::vector<Holder> holders = ask(*connection, name);
  // Throws what says so if there is no such tensor, rather than that nobody holds it.
  if (holders.empty()) static_cast<void>(info(name));
  return holders;
}

std::vector<Holder> Store::holders() const { return ask(*state_->connection(), {}); }

}  // namespace tensord
