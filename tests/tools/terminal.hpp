// What a program prints on a terminal of a given width: it runs under a pty.
#pragma once

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tensorctl.hpp"

namespace tensord::test {

// `environment` is put before the command: "NO_COLOR=1".
inline Said tensorctl_on_terminal(const std::string& socket, const std::string& arguments,
                                  unsigned short columns, const std::string& environment = "") {
  winsize size{};
  size.ws_row = 24;
  size.ws_col = columns;
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    for (const char* variable : {"COLUMNS", "NO_COLOR"}) ::unsetenv(variable);
    ::setenv("TERM", "xterm-256color", 1);
    const std::string command =
        "exec env " + environment + " " + TENSORCTL + " --socket '" + socket + "' " + arguments;
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  Said said;
  char chunk[512];
  // EIO is how a pty says that nobody has its other side any more.
  for (ssize_t got; (got = ::read(terminal, chunk, sizeof chunk)) > 0;)
    said.text.append(chunk, static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(terminal);
  said.code = WEXITSTATUS(status);
  std::erase(said.text, '\r');
  return said;
}

}  // namespace tensord::test
