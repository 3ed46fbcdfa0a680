#include <string>
#include <vector>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"
#include "table.hpp"
#include "user_name.hpp"

namespace tensord::tools {
namespace {

using Holds = Column::Holds;

std::string share(const std::string& has, const std::string& limit) { return has + " of " + limit; }

Table table_of(const std::vector<UserStats>& users) {
  Table table({{"UID", Holds::kNumber},
               {"USER"},
               {"MEMORY", Holds::kNumber},
               {"TENSORS", Holds::kNumber},
               {"CONNECTIONS", Holds::kNumber},
               {"DELETED BUT VIEWED", Holds::kNumber}});
  for (const UserStats& user : users) {
    table.add({std::to_string(user.uid), user_name(user.uid).value_or("?"),
               share(human_bytes(user.used_bytes), human_bytes(user.max_bytes)),
               share(std::to_string(user.tensors), std::to_string(user.max_tensors)),
               share(std::to_string(user.connections), std::to_string(user.max_connections)),
               Cell(share(human_bytes(user.dying_bytes), human_bytes(user.max_dying_bytes)),
                    user.dying_bytes > 0 ? Style::kBad : Style::kPlain)});
  }
  return table;
}

Json json_of(const std::vector<UserStats>& users) {
  Json list = Json::array();
  for (const UserStats& user : users) {
    list.push_back({{"uid", user.uid},
                    {"used_bytes", user.used_bytes},
                    {"max_bytes", user.max_bytes},
                    {"dying_bytes", user.dying_bytes},
                    {"max_dying_bytes", user.max_dying_bytes},
                    {"tensors", user.tensors},
                    {"max_tensors", user.max_tensors},
                    {"connections", user.connections},
                    {"max_connections", user.max_connections}});
  }
  return list;
}

}  // namespace

void add_users(Commands& commands) {
  commands.add("users", "Say what each user has and may have: you, or all if you are root",
               [](const Shared& shared) {
                 const auto users = connect(shared).users();
                 shared.json ? print_json(json_of(users)) : table_of(users).print(shared.terminal());
                 return kDone;
               });
}

}  // namespace tensord::tools
