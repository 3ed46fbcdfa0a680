// Commands: what tensorctl can do. A command is a file in commands/: its words on the command line, its
// table and its JSON. It defines one function, `void add_NAME(Commands&)`; tensorctl.cpp lists them.
//
//   void add_users(Commands& commands) {
//     commands.add("users", "Say what each user has", [](const Shared& shared) {
//       const auto users = connect(shared).users();
//       shared.json ? print_json(as_json(users)) : print(table_of(users));
//       return kDone;
//     });
//   }
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "exit_code.hpp"
#include "terminal.hpp"

namespace CLI {
class App;  // whose header takes seconds to read
}

namespace tensord::tools {

// What every command can be told.
struct Shared {
  std::string socket;  // empty: where connect() would look
  bool json = false;
  ColorChoice color = ColorChoice::kAuto;

  [[nodiscard]] Terminal terminal() const { return Terminal::of_stdout(color); }
};

// No tensord runs at `socket`: exit code 3.
class NoDaemonError : public std::runtime_error {
 public:
  explicit NoDaemonError(const std::string& socket);
};

// What the options' own checks could not see: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// On standard error, behind what was printed so far: for commands that go on after one failure of several.
void say(const std::exception& error);

// The socket that was asked for, else the one that a client would use.
[[nodiscard]] std::string chosen_socket(const Shared& shared);
// Connects to the daemon that serves there, and starts none. Throws NoDaemonError.
[[nodiscard]] Store connect(const Shared& shared);

class Commands {
 public:
  using Run = std::function<int(const Shared&)>;

  explicit Commands(CLI::App& app);
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // Adds a command with the options that all have; its own are added to what this returns. They are parsed
  // later, so what they write to is shared with `run`, which returns an exit code, or throws.
  CLI::App& add(const std::string& name, const std::string& what, Run run);

  // Runs the command that was parsed; failures are said on standard error. Returns an exit code.
  [[nodiscard]] int run() const;

 private:
  void add_shared_options(CLI::App& app);

  CLI::App& app_;
  Shared shared_;
  std::vector<std::pair<const CLI::App*, Run>> commands_;
};

}  // namespace tensord::tools
