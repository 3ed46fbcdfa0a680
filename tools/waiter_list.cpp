#include "waiter_list.hpp"

#include <string>

#include "duration.hpp"

namespace tensord::tools {

using Holds = Column::Holds;

Table table_of(const std::vector<Waiter>& waiters) {
  Table table({{"PID", Holds::kNumber},
               {"COMMAND"},
               {"UID", Holds::kNumber},
               {"WAITS FOR", Holds::kWord},
               {"SINCE", Holds::kNumber},
               {"NAME"}});
  for (const Waiter& waiter : waiters) {
    table.add({waiter.pid == 0 ? "?" : std::to_string(waiter.pid), waiter.command, std::to_string(waiter.uid),
               word_of(waiter.waits_for), time_since(waiter.since_unix_ns), waiter.name});
  }
  return table;
}

Json json_of(const std::vector<Waiter>& waiters) {
  Json list = Json::array();
  for (const Waiter& waiter : waiters) {
    list.push_back({{"name", waiter.name},
                    {"waits_for", word_of(waiter.waits_for)},
                    {"connection", waiter.connection},
                    {"pid", waiter.pid},
                    {"uid", waiter.uid},
                    {"command", waiter.command},
                    {"since_unix_ns", waiter.since_unix_ns}});
  }
  return list;
}

}  // namespace tensord::tools
