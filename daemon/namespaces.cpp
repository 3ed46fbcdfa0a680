#include "namespaces.hpp"

#include "protocol/tensor_spec.hpp"

namespace tensord::daemon {

using protocol::namespace_of;
using protocol::quoted;

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
  space.id = ++last_id_;
  space.owner = creator.uid;
  space.group = creator.gid;
  space.mode = mode_of_new_ones_;
  const auto made = by_name_.emplace(name, space).first;
  by_id_.emplace(space.id, made);
  return &made->second;
}

Result<Done> Namespaces::check(std::string_view tensor_name, const Credentials& who, Right right) const {
  const std::string_view name = namespace_of(tensor_name);
  const auto found = by_name_.find(name);
  if (found != by_name_.end() && !allows(found->second, who, right))
    return denied(name, found->second, right);
  return Done{};  // in a namespace that does not exist there is nothing to protect
}

Result<Done> Namespaces::check(std::uint32_t id, const Credentials& who, Right right) const {
  const auto& [name, space] = *by_id_.at(id);
  if (!allows(space, who, right)) return denied(name, space, right);
  return Done{};
}

void Namespaces::tensor_came(std::uint32_t id) { ++by_id_.at(id)->second.tensors; }

void Namespaces::tensor_gone(std::uint32_t id) { --by_id_.at(id)->second.tensors; }

void Namespaces::forget_unused() {
  // Their warm segments stay behind under an id that nobody gets again, and are dropped when space is needed.
  for (auto it = by_name_.begin(); it != by_name_.end();) {
    if (it->second.tensors == 0) {
      by_id_.erase(it->second.id);
      it = by_name_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace tensord::daemon
