#include "doctor.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "doctor/report.hpp"

namespace tensord::tools {
namespace {

// 0: not a terminal.
std::size_t terminal_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool wants_colour() {
  const char* const refused = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0');
}

}  // namespace

int run_doctor(const std::string& asked_for, DoctorWants wants, bool json) {
  if (wants == DoctorWants::kList) {
    std::fputs((json ? doctor::list_as_json() : doctor::list_as_text()).c_str(), stdout);
    return EXIT_SUCCESS;
  }
  const doctor::Machine machine;
  const doctor::Report report = doctor::examine(machine, doctor::look_around(machine, asked_for));
  const std::string text =
      json ? doctor::as_json(report) : doctor::as_text(report, terminal_width(), wants_colour());
  std::fputs(text.c_str(), stdout);
  return doctor::worst_of(report) == doctor::Level::kProblem ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace tensord::tools
