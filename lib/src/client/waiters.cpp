// Store::waiters.
#include <string>

#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/pages.hpp"
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
  std::vector<Waiter> waiters;
  client::Processes processes;
  protocol::Waiters request;
  request.header.type = protocol::Waiters::kType;
  client::visit_pages<protocol::WaitersReply>(
      *state_->connection(), request, "waiters", [](auto& asked) -> auto& { return asked.from_connection; },
      [](const auto& page) { return page.next_connection; },
      [&](const auto& entry, const auto& page) {
        if (entry.waits_for > static_cast<std::uint32_t>(WaitsFor::kNewVersion)) {
          client::throw_broken_daemon("the daemon sent a waiter of an unknown kind");
        }
        waiters.push_back({std::string(entry.name.view()), static_cast<WaitsFor>(entry.waits_for),
                           entry.connection, entry.pid, entry.uid,
                           processes.command_of(entry.pid, page.your_pid), entry.since_unix_ns_untrusted});
      });
  return waiters;
}

}  // namespace tensord
