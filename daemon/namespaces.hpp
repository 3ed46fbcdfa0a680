// Namespaces: who owns the names before the first slash, and who may read and write there.
//
// A namespace is made by the first tensor in it: its creator owns it, and its mode is the daemon's
// setting at that moment; both stay. The mode is read like a file's: 4 read, 2 write, for owner,
// group, others. Root may do everything.
// Threads  one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "credentials.hpp"
#include "result.hpp"

namespace tensord::daemon {

// Enough for a namespace per run for years; an idle one costs some hundred bytes.
inline constexpr std::size_t kMaxNamespaces = 65'536;

struct Namespace {
  std::uint32_t id = 0;  // never used twice
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0;
  std::uint64_t tensors = 0;  // building and dying ones included
};

enum class Right : unsigned { kRead = 4, kWrite = 2 };

class Namespaces {
 public:
  explicit Namespaces(mode_t mode_of_new_ones) : mode_of_new_ones_(mode_of_new_ones) {}

  // The namespace of a tensor name; made for `creator` if there is none.
  // Fails with kPermissionDenied if the creator may not write in it, kLimitReached.
  Result<Namespace*> find_or_make(std::string_view tensor_name, const Credentials& creator);

  // Whether `who` has the right in the namespace of a tensor. Fails with kPermissionDenied.
  [[nodiscard]] Result<Done> check(std::string_view tensor_name, const Credentials& who, Right right) const;
  [[nodiscard]] Result<Done> check(std::uint32_t id, const Credentials& who, Right right) const;

  // One tensor more, or less, in a namespace that exists.
  void tensor_came(std::uint32_t id);
  void tensor_gone(std::uint32_t id);

 private:
  [[nodiscard]] static bool allows(const Namespace& space, const Credentials& who, Right right);
  [[nodiscard]] static Failure denied(std::string_view name, const Namespace& space, Right right);
  void forget_unused();

  const mode_t mode_of_new_ones_;
  std::uint32_t last_id_ = 0;
  std::map<std::string, Namespace, std::less<>> by_name_;
  std::unordered_map<std::uint32_t, std::map<std::string, Namespace, std::less<>>::iterator> by_id_;
};

}  // namespace tensord::daemon
