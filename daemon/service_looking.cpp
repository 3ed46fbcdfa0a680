// Service: the requests that change nothing, and say what is there.
#include <utility>

#include "service.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include <tensord/version.hpp>

namespace tensord::daemon {

protocol::ListReply Service::list(const protocol::List& request) const {
  protocol::ListReply reply;
  std::size_t at = 0;
  registry_.visit_names(request.prefix.view(), request.after.view(), [&](std::string_view name) {
    if (at + 1 + name.size() > reply.names.size()) {
      reply.more = 1;
      return false;
    }
    reply.names[at++] = static_cast<char>(name.size());
    at += name.copy(&reply.names[at], name.size());
    ++reply.count;
    return true;
  });
  return reply;
}

protocol::StatsReply Service::stats() const {
  const SpaceFigures space = segments_.figures();
  const Registry::Figures tensors = registry_.figures();
  protocol::StatsReply reply;
  reply.limit_bytes = space.limit_bytes;
  reply.reserved_bytes = space.reserved_bytes;
  reply.used_bytes = space.used_bytes - tensors.spare_bytes;
  reply.dying_bytes = tensors.dying_bytes;
  reply.largest_free_bytes = space.largest_free_bytes;
  reply.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_)
          .count());
  reply.tensors = tensors.tensors;
  reply.dying_tensors = tensors.dying;
  reply.building_tensors = tensors.building;
  reply.max_tensors = slot_count();
  reply.segments = static_cast<std::uint32_t>(space.segments);
  reply.connections = tensors.clients;
  reply.max_connections = options_.max_connections;
  reply.daemon_pid = static_cast<std::uint32_t>(::getpid());
  reply.published = tensors.published;
  reply.published_bytes = tensors.published_bytes;
  reply.deleted = tensors.deleted;
  reply.kept_by = static_cast<std::uint32_t>(manager_.kept_by());
  reply.version.assign(kVersion);
  return reply;
}

protocol::AskAboutReply Service::ask_about(const protocol::AskAbout& request) const {
  protocol::AskAboutReply reply;
  if (const Credentials* who = registry_.who_is(request.connection)) {
    reply.connected = 1;
    reply.pid = static_cast<std::uint32_t>(who->pid);
  }
  return reply;
}

Result<protocol::HoldersReply> Service::holders(ClientId client, const protocol::Holders& request) const {
  const Credentials& asker = connected_.at(client).who;
  protocol::HoldersReply reply;
  reply.your_pid = static_cast<std::uint32_t>(asker.pid);
  if (request.of > protocol::Holders::Of::kPrefix) {
    return Failure{Errc::kInvalidArgument,
                   "holders are asked for by a name, by a prefix, or of what has no name"};
  }
  const auto add = [&](const Registry::Holder& holder) {
    if (reply.count == reply.entries.size()) return false;
    const Tensor& tensor = registry_.tensor(holder.place.slot);
    auto& entry = reply.entries[reply.count++];
    entry.name.assign(tensor.name);
    entry.slot = holder.place.slot;
    entry.size_bytes = tensor.size_bytes;
    entry.created_unix_ns = tensor.created_unix_ns;
    entry.connected_unix_ns = holder.connected_unix_ns;
    entry.connection = holder.place.client;
    entry.pid = static_cast<std::uint32_t>(holder.who.pid);
    entry.uid = holder.who.uid;
    entry.views_untrusted = holder.views_untrusted;
    entry.state = static_cast<std::uint32_t>(holder.state);
    return true;
  };
  const auto next =
      registry_.visit_holders(client, asker.uid == ::geteuid(), {request.of, request.name.view()},
                              {request.from_slot, request.from_connection}, add);
  if (!next) return next.failure();
  if (const auto& place = next.value()) {
    reply.more = 1;
    reply.next_slot = place->slot;
    reply.next_connection = place->client;
  }
  return reply;
}

protocol::UsersReply Service::users(ClientId client, const protocol::Users& request) const {
  const Credentials& asker = connected_.at(client).who;
  const bool sees_all = asker.uid == 0 || asker.uid == ::geteuid();
  const Quotas::Figures& quota = registry_.quotas().limits();
  protocol::UsersReply reply;
  reply.max_bytes = std::min(quota.bytes, options_.max_bytes);
  reply.max_dying_bytes = std::min(quota.dying_bytes, options_.max_bytes);
  reply.max_tensors = std::min<std::uint64_t>(quota.tensors, slot_count());
  reply.max_connections = std::min<std::uint64_t>(quota.connections, options_.max_connections);
  const uid_t from = sees_all ? request.from_uid : asker.uid;
  registry_.quotas().visit(from, [&](uid_t uid, const Quotas::Figures& has) {
    if (reply.count == reply.entries.size()) {
      reply.more = 1;
      reply.next_uid = uid;
      return false;
    }
    reply.entries[reply.count++] = {uid, 0, has.bytes, has.dying_bytes, has.tensors, has.connections};
    return sees_all;
  });
  return reply;
}

protocol::WaitersReply Service::waiters(ClientId client, const protocol::Waiters& request) const {
  const Credentials& asker = connected_.at(client).who;
  protocol::WaitersReply reply;
  reply.your_pid = static_cast<std::uint32_t>(asker.pid);
  const auto add = [&](const std::vector<Registry::Waiter>& waiters) {
    if (waiters.size() > reply.entries.size() - reply.count) return false;
    for (const Registry::Waiter& waiter : waiters) {
      auto& entry = reply.entries[reply.count++];
      entry.name.assign(waiter.name);
      entry.waits_for = static_cast<std::uint32_t>(waiter.waits_for);
      entry.since_unix_ns_untrusted = waiter.since_unix_ns_untrusted;
      entry.connection = waiter.client;
      entry.pid = static_cast<std::uint32_t>(waiter.who.pid);
      entry.uid = waiter.who.uid;
    }
    return true;
  };
  static_assert(protocol::WaitersReply::kMaxEntries >= shm::kShownWaits,
                "a connection's waits fit into a page");
  if (const auto next =
          registry_.visit_waiters(client, asker.uid == ::geteuid(), request.from_connection, add)) {
    reply.more = 1;
    reply.next_connection = *next;
  }
  return reply;
}

}  // namespace tensord::daemon
