#include "users.hpp"

#include <pwd.h>

#include <cstdio>
#include <string>

#include "human.hpp"
#include "json.hpp"
#include "table.hpp"

namespace tensord::tools {
namespace {

std::string name_of(std::uint32_t uid) {
  const passwd* const account = ::getpwuid(uid);
  return account == nullptr ? "?" : account->pw_name;
}

std::string share(const std::string& has, const std::string& limit) { return has + " of " + limit; }

}  // namespace

void print_users_table(const std::vector<UserStats>& users) {
  Table table({"UID", "USER", "MEMORY", "TENSORS", "CONNECTIONS", "DELETED BUT VIEWED"});
  for (const UserStats& user : users) {
    table.add({std::to_string(user.uid), name_of(user.uid),
               share(human_bytes(user.used_bytes), human_bytes(user.max_bytes)),
               share(std::to_string(user.tensors), std::to_string(user.max_tensors)),
               share(std::to_string(user.connections), std::to_string(user.max_connections)),
               share(human_bytes(user.dying_bytes), human_bytes(user.max_dying_bytes))});
  }
  std::fputs(table.text().c_str(), stdout);
}

void print_users_json(const std::vector<UserStats>& users) {
  std::string text;
  for (const UserStats& user : users) {
    JsonObject object;
    object.add("uid", user.uid).add("used_bytes", user.used_bytes).add("max_bytes", user.max_bytes);
    object.add("dying_bytes", user.dying_bytes).add("max_dying_bytes", user.max_dying_bytes);
    object.add("tensors", user.tensors).add("max_tensors", user.max_tensors);
    object.add("connections", user.connections).add("max_connections", user.max_connections);
    text += (text.empty() ? "" : ",\n ") + object.text();
  }
  std::puts(("[" + text + "]").c_str());
}

}  // namespace tensord::tools
