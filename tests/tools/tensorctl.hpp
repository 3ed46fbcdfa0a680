// tensorctl: the program, called as people and scripts call it.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace tensord::test {

struct Said {
  int code = -1;
  std::string text;  // both outputs
};

inline Said tensorctl(const std::string& socket, const std::string& arguments) {
  const std::string command = std::string(TENSORCTL) + " --socket '" + socket + "' " + arguments + " 2>&1";
  Said said;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return said;
  char chunk[512];
  for (std::size_t size; (size = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;)
    said.text.append(chunk, size);
  said.code = WEXITSTATUS(::pclose(pipe));
  return said;
}

}  // namespace tensord::test
