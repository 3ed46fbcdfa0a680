// What processes are called, for lists of connections. The daemon tells pids, as it sees them; what they are
// called is looked up here, with the rights of who asks, and not at all if the daemon sees other pids than we
// do (containers): then the same number would be somebody else.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace tensord::client {

// Looks each pid up once.
class Processes {
 public:
  // `your_pid`: what the daemon calls this process. "?": it cannot be known.
  [[nodiscard]] const std::string& command_of(std::uint32_t pid, std::uint32_t your_pid);

 private:
  std::unordered_map<std::uint32_t, std::string> commands_;
};

}  // namespace tensord::client
