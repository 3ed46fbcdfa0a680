// Store::users.
#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/store_state.hpp"
#include "protocol/messages.hpp"

namespace tensord {

std::vector<UserStats> Store::users() const {
  const auto connection = state_->connection();
  std::vector<UserStats> users;
  protocol::Users request;
  request.header.type = protocol::Users::kType;
  for (;;) {
    const auto page = connection->call<protocol::UsersReply>(request);
    if (page.count > page.entries.size())
      client::throw_broken_daemon("the daemon sent a broken page of users");
    for (std::uint32_t i = 0; i < page.count; ++i) {
      const auto& entry = page.entries[i];
      users.push_back({entry.uid, entry.used_bytes, page.max_bytes, entry.dying_bytes, page.max_dying_bytes,
                       entry.tensors, page.max_tensors, entry.connections, page.max_connections});
    }
    if (page.more == 0) return users;
    // Otherwise its pages need never end.
    if (page.next_uid <= request.from_uid) {
      client::throw_broken_daemon("the daemon sent pages of users that do not go on");
    }
    request.from_uid = page.next_uid;
  }
}

}  // namespace tensord
