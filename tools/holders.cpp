#include "holders.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "duration.hpp"
#include "human.hpp"
#include "json.hpp"
#include "table.hpp"

namespace tensord::tools {
namespace {

std::string time_since(std::uint64_t unix_ns) {
  if (unix_ns == 0) return "-";  // a spare is not made yet
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto then = std::chrono::nanoseconds(unix_ns);
  // A clock that was set back is no reason to print nonsense.
  const auto passed = std::max(std::chrono::nanoseconds(now) - then, std::chrono::nanoseconds(0));
  return human_duration(static_cast<std::uint64_t>(passed / std::chrono::milliseconds(1)));
}

}  // namespace

void print_holders_table(const std::string& name, const std::vector<Holder>& holders) {
  if (holders.empty()) {
    if (name.empty()) {
      std::puts("nobody holds memory that no name leads to");
    } else {
      std::printf("nobody holds %s\n", name.c_str());
    }
    return;
  }
  Table table({"PID", "COMMAND", "UID", "VIEWS", "BYTES", "STATE", "MADE", "CONNECTED", "NAME"});
  for (const Holder& holder : holders) {
    table.add({holder.pid == 0 ? "?" : std::to_string(holder.pid), holder.command, std::to_string(holder.uid),
               std::to_string(holder.views), human_bytes(holder.size_bytes), word_of(holder.state),
               time_since(holder.created_unix_ns), time_since(holder.connected_unix_ns),
               holder.name.empty() ? "-" : holder.name});
  }
  std::fputs(table.text().c_str(), stdout);
}

void print_holders_json(const std::vector<Holder>& holders) {
  std::string text;
  for (const Holder& holder : holders) {
    JsonObject object;
    object.add("name", holder.name).add("state", word_of(holder.state));
    object.add("connection", holder.connection).add("pid", holder.pid).add("uid", holder.uid);
    object.add("command", holder.command).add("views", holder.views).add("size_bytes", holder.size_bytes);
    object.add("created_unix_ns", holder.created_unix_ns);
    object.add("connected_unix_ns", holder.connected_unix_ns);
    text += (text.empty() ? "" : ",\n ") + object.text();
  }
  std::puts(("[" + text + "]").c_str());
}

}  // namespace tensord::tools
