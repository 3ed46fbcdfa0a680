#include "namespaces.hpp"

#include <algorithm>

#include "book.hpp"
#include "protocol/tensor_spec.hpp"

namespace tensord::daemon {

using protocol::namespace_of;
using protocol::quoted;

Namespaces::Namespaces(Book& book, mode_t mode_of_new_ones)
    : book_(book), places_(kMaxNamespaces), mode_of_new_ones_(mode_of_new_ones) {}

void Namespaces::recover() {
  const auto entries = book_.namespaces();
  std::uint32_t reached = 0;
  for (std::uint32_t place = 0; place < entries.size(); ++place) {
    const NamespaceEntry& entry = entries[place];
    const std::uint32_t id = entry.id.load(std::memory_order_acquire);
    // They are taken in order: from one that was never used on, there are none. Its name has no size, for
    // only `id` is cleared when one goes.
    if (id == 0 && entry.name_size == 0) break;
    reached = place + 1;
    const bool sound = entry.name_size >= 1 && entry.name_size <= kMaxNameSize &&
                       (entry.mode & ~0666u) == 0 && id <= book_.header().last_namespace;
    const std::string_view name(entry.name, std::min<std::size_t>(entry.name_size, kMaxNameSize));
    if (id == 0 || !sound || by_id_.contains(id) || by_name_.contains(name)) continue;
    add(name, Namespace{id, entry.owner, entry.group, entry.mode, 0, place});
  }
  places_.restore(reached, [&](std::uint32_t place) {
    const auto found = by_id_.find(entries[place].id.load(std::memory_order_relaxed));
    const bool is_used = found != by_id_.end() && found->second->second.place == place;
    if (!is_used) entries[place].id.store(0, std::memory_order_relaxed);
    return !is_used;
  });
}

void Namespaces::add(std::string_view name, const Namespace& space) {
  by_id_.emplace(space.id, by_name_.emplace(name, space).first);
}

bool Namespaces::is_of(std::uint32_t id, std::string_view tensor_name) const {
  const auto found = by_id_.find(id);
  return found != by_id_.end() && found->second->first == namespace_of(tensor_name);
}

bool Namespaces::allows(const Namespace& space, const Credentials& who, Right right) {
  if (who.uid == 0) return true;
  const unsigned bits = static_cast<unsigned>(right);
  if (who.uid == space.owner) return (space.mode >> 6 & bits) != 0;
  if (who.gid == space.group) return (space.mode >> 3 & bits) != 0;
  return (space.mode & bits) != 0;
}

Failure Namespaces::denied(std::string_view name, const Namespace& space, Right right) {
  return {Errc::kPermissionDenied, std::string("you may not ") + (right == Right::kRead ? "read" : "write") +
                                       " in the namespace " + quoted(name) + ": it belongs to uid " +
                                       std::to_string(space.owner) +
                                       "; use a namespace of your own, or ask its owner"};
}

Result<Namespace*> Namespaces::find_or_make(std::string_view tensor_name, const Credentials& creator) {
  const std::string_view name = namespace_of(tensor_name);
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    if (!allows(found->second, creator, Right::kWrite)) return denied(name, found->second, Right::kWrite);
    return &found->second;
  }
  if (by_name_.size() >= kMaxNamespaces) forget_unused();
  if (by_name_.size() >= kMaxNamespaces) {
    return Failure{Errc::kLimitReached,
                   "the store has " + std::to_string(kMaxNamespaces) +
                       " namespaces with tensors in them, which is the limit: delete some"};
  }
  Namespace space;
  space.id = ++book_.header().last_namespace;
  space.owner = creator.uid;
  space.group = creator.gid;
  space.mode = mode_of_new_ones_;
  space.place = *places_.take();  // there are as many as namespaces
  NamespaceEntry& entry = book_.namespaces()[space.place];
  entry.owner = space.owner;
  entry.group = space.group;
  entry.mode = space.mode;
  entry.name_size = static_cast<std::uint32_t>(name.copy(entry.name, kMaxNameSize));
  entry.id.store(space.id, std::memory_order_release);
  add(name, space);
  return &by_id_.at(space.id)->second;
}

Result<Done> Namespaces::check(std::string_view tensor_name, const Credentials& who, Right right) const {
  const std::string_view name = namespace_of(tensor_name);
  const auto found = by_name_.find(name);
  if (found != by_name_.end() && !allows(found->second, who, right))
    return denied(name, found->second, right);
  return Done{};  // in a namespace that does not exist there is nothing to protect
}

Result<Done> Namespaces::check(std::uint32_t id, const Credentials& who, Right right) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end())
    return Failure{Errc::kNotFound,
                   "that namespace is not in the store any more: its last tensor was deleted"};
  const auto& [name, space] = *found->second;
  if (!allows(space, who, right)) return denied(name, space, right);
  return Done{};
}

void Namespaces::tensor_came(std::uint32_t id) { ++by_id_.at(id)->second.tensors; }

void Namespaces::tensor_gone(std::uint32_t id) { --by_id_.at(id)->second.tensors; }

void Namespaces::forget_unused() {
  // Their warm segments stay behind under an id that nobody gets again, and are dropped when space is needed.
  for (auto it = by_name_.begin(); it != by_name_.end();) {
    if (it->second.tensors == 0) {
      book_.namespaces()[it->second.place].id.store(0, std::memory_order_release);
      places_.give_back(it->second.place);
      by_id_.erase(it->second.id);
      it = by_name_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace tensord::daemon
