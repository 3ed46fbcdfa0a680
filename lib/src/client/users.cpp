// Store::users.
#include <tensord/store.hpp>

#include "client/pages.hpp"
#include "client/store_state.hpp"
#include "protocol/messages.hpp"

namespace tensord {

std::vector<UserStats> Store::users() const {
  std::vector<UserStats> users;
  protocol::Users request;
  request.header.type = protocol::Users::kType;
  client::visit_pages<protocol::UsersReply>(
      *state_->connection(), request, "users", [](auto& asked) -> auto& { return asked.from_uid; },
      [](const auto& page) { return page.next_uid; },
      [&](const auto& entry, const auto& page) {
        users.push_back({entry.uid, entry.used_bytes, page.max_bytes, entry.dying_bytes, page.max_dying_bytes,
                         entry.tensors, page.max_tensors, entry.connections, page.max_connections});
      });
  return users;
}

}  // namespace tensord
