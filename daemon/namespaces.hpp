// Namespaces: who owns the names before the first slash, and who may read and write there.
//
// A namespace is made by the first tensor in it: its creator owns it, and its mode is the daemon's
// setting at that moment; both stay. The mode is read like a file's: 4 read, 2 write, for owner,
// group, others. Root may do everything.
// They are entered in the book as they come and go.
// Threads  one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "credentials.hpp"
#include "indexes.hpp"
#include "result.hpp"

namespace tensord::daemon {

class Book;

// Enough for a namespace per run for years; an idle one costs some hundred bytes.
inline constexpr std::size_t kMaxNamespaces = 65'536;

struct Namespace {
  std::uint32_t id = 0;  // never used twice
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0;
  std::uint64_t tensors = 0;  // building and dying ones included
  std::uint32_t place = 0;    // in the book
};

enum class Right : unsigned { kRead = 4, kWrite = 2 };

class Namespaces {
 public:
  // REQUIRES: the book stays.
  Namespaces(Book& book, mode_t mode_of_new_ones);
  // Those that the book has. What it says of a namespace that cannot be is left out. REQUIRES: none came yet.
  void recover();

  // The namespace of a tensor name; made for `creator` if there is none.
  // Fails with kPermissionDenied if the creator may not write in it, kLimitReached.
  Result<Namespace*> find_or_make(std::string_view tensor_name, const Credentials& creator);

  // Whether `who` has the right in the namespace of a tensor. Fails with kPermissionDenied, and by id with
  // kNotFound.
  [[nodiscard]] Result<Done> check(std::string_view tensor_name, const Credentials& who, Right right) const;
  [[nodiscard]] Result<Done> check(std::uint32_t id, const Credentials& who, Right right) const;

  [[nodiscard]] bool exists(std::uint32_t id) const { return by_id_.contains(id); }
  // Whether this is the namespace of a tensor name.
  [[nodiscard]] bool is_of(std::uint32_t id, std::string_view tensor_name) const;

  // One tensor more, or less, in a namespace that exists.
  void tensor_came(std::uint32_t id);
  void tensor_gone(std::uint32_t id);

 private:
  [[nodiscard]] static bool allows(const Namespace& space, const Credentials& who, Right right);
  [[nodiscard]] static Failure denied(std::string_view name, const Namespace& space, Right right);
  void forget_unused();
  void add(std::string_view name, const Namespace& space);

  Book& book_;
  Indexes places_;  // in the book
  const mode_t mode_of_new_ones_;
  std::map<std::string, Namespace, std::less<>> by_name_;
  std::unordered_map<std::uint32_t, std::map<std::string, Namespace, std::less<>>::iterator> by_id_;
};

}  // namespace tensord::daemon
