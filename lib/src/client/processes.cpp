#include "client/processes.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace tensord::client {
namespace {

// A process may call itself anything: nothing of it is to move the cursor of who reads it.
std::string read_command(std::uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string command(std::istreambuf_iterator<char>(file), {});
  if (command.ends_with('\n')) command.pop_back();
  for (char& c : command) {
    if (c < ' ' || c > '~') c = '?';
  }
  return command.empty() ? "?" : command;
}

}  // namespace

const std::string& Processes::command_of(std::uint32_t pid, std::uint32_t your_pid) {
  std::string& command = commands_[pid];
  if (command.empty()) {
    const bool same_pids = your_pid == static_cast<std::uint32_t>(::getpid());
    command = same_pids && pid != 0 ? read_command(pid) : "?";
  }
  return command;
}

}  // namespace tensord::client
