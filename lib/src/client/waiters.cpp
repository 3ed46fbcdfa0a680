// Store::waiters.
#include <string>

#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/processes.hpp"
#include "client/store_state.hpp"
#include "protocol/messages.hpp"

namespace tensord {

const char* word_of(WaitsFor what) {
  switch (what) {
    case WaitsFor::kName: return "name";
    case WaitsFor::kNewVersion: return "version";
  }
  return "?";
}

std::vector<Waiter> Store::waiters() const {
  const auto connection = state_->connection();
  std::vector<Waiter> waiters;
  client::Processes processes;
  protocol::Waiters request;
  request.header.type = protocol::Waiters::kType;
  for (;;) {
    const auto page = connection->call<protocol::WaitersReply>(request);
    if (page.count > page.entries.size())
      client::throw_broken_daemon("the daemon sent a broken page of waiters");
    for (std::uint32_t i = 0; i < page.count; ++i) {
      const auto& entry = page.entries[i];
      if (entry.waits_for > static_cast<std::uint32_t>(WaitsFor::kNewVersion)) {
        client::throw_broken_daemon("the daemon sent a waiter of an unknown kind");
      }
      waiters.push_back({std::string(entry.name.view()), static_cast<WaitsFor>(entry.waits_for),
                         entry.connection, entry.pid, entry.uid,
                         processes.command_of(entry.pid, page.your_pid), entry.since_unix_ns_untrusted});
    }
    if (page.more == 0) return waiters;
    // Otherwise its pages need never end.
    if (page.next_connection <= request.from_connection) {
      client::throw_broken_daemon("the daemon sent pages of waiters that do not go on");
    }
    request.from_connection = page.next_connection;
  }
}

}  // namespace tensord
