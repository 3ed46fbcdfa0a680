// tensorctl: the program, called as people and scripts call it.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

namespace tensord::test {

struct Said {
  int code = -1;
  std::string text;  // both outputs
};

inline Said run_shell(const std::string& command) {
  Said said;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return said;
  char chunk[512];
  for (std::size_t size; (size = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;)
    said.text.append(chunk, size);
  said.code = WEXITSTATUS(::pclose(pipe));
  return said;
}

inline Said tensorctl(const std::string& socket, const std::string& arguments) {
  return run_shell(std::string(TENSORCTL) + " --socket '" + socket + "' " + arguments + " 2>&1");
}

// What it says on standard output with --json, whatever the exit code is. Throws if that is no JSON.
inline nlohmann::json tensorctl_json(const std::string& socket, const std::string& arguments) {
  return nlohmann::json::parse(
      run_shell(std::string(TENSORCTL) + " --socket '" + socket + "' --json " + arguments + " 2>/dev/null")
          .text);
}

}  // namespace tensord::test
