#include "holder_list.hpp"

#include <string>

#include "duration.hpp"
#include "human.hpp"

namespace tensord::tools {
namespace {

using Holds = Column::Holds;

Style style_of(HolderState state) {
  switch (state) {
    case HolderState::kDying: return Style::kBad;
    case HolderState::kBuilding: return Style::kPending;
    case HolderState::kSpare: return Style::kQuiet;
    case HolderState::kAttached: break;
  }
  return Style::kPlain;
}

}  // namespace

Table table_of(const std::vector<Holder>& holders) {
  Table table({{"PID", Holds::kNumber},
               {"COMMAND"},
               {"UID", Holds::kNumber},
               {"VIEWS", Holds::kNumber},
               {"BYTES", Holds::kNumber},
               {"STATE", Holds::kWord},
               {"MADE", Holds::kNumber},
               {"CONNECTED", Holds::kNumber},
               {"NAME"}});
  for (const Holder& holder : holders) {
    table.add({holder.pid == 0 ? "?" : std::to_string(holder.pid), holder.command, std::to_string(holder.uid),
               std::to_string(holder.views), human_bytes(holder.size_bytes),
               Cell(word_of(holder.state), style_of(holder.state)),
               time_since(holder.created_unix_ns),  // a spare is not made yet
               time_since(holder.connected_unix_ns), holder.name.empty() ? "-" : holder.name});
  }
  return table;
}

Json json_of(const std::vector<Holder>& holders) {
  Json list = Json::array();
  for (const Holder& holder : holders) {
    list.push_back({{"name", holder.name},
                    {"state", word_of(holder.state)},
                    {"connection", holder.connection},
                    {"pid", holder.pid},
                    {"uid", holder.uid},
                    {"command", holder.command},
                    {"views", holder.views},
                    {"size_bytes", holder.size_bytes},
                    {"created_unix_ns", holder.created_unix_ns},
                    {"connected_unix_ns", holder.connected_unix_ns}});
  }
  return list;
}

}  // namespace tensord::tools
