#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace tensord::tools {
namespace {

std::string_view environment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? std::string_view() : value;
}

std::optional<std::size_t> width_of_stdout() {
  const std::string_view columns = environment("COLUMNS");
  std::size_t width = 0;
  const auto [end, error] = std::from_chars(columns.data(), columns.data() + columns.size(), width);
  if (error == std::errc() && end == columns.data() + columns.size() && width > 0) return width;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return std::nullopt;
}

}  // namespace

Terminal Terminal::of_stdout(ColorChoice choice) {
  Terminal terminal;
  terminal.is_terminal = ::isatty(STDOUT_FILENO) != 0;
  if (terminal.is_terminal) terminal.width = width_of_stdout();
  const bool wanted =
      terminal.is_terminal && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  terminal.color = choice == ColorChoice::kAlways || (choice == ColorChoice::kAuto && wanted);
  return terminal;
}

}  // namespace tensord::tools
