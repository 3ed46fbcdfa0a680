#include "os/crash_point.hpp"

#if defined(TENSORD_CRASH_POINTS)

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

namespace tensord::os {
namespace {

// Armed by a test in a process that it has just forked, before anything else runs in it.
std::string armed;
int reaches_left = 0;
std::string armed_by;  // a file

}  // namespace

void arm_crash_point(std::string_view name, int count) {
  armed = name;
  reaches_left = count;
}

void arm_crash_point_from_environment() {
  const char* const path = std::getenv("TENSORD_CRASH_AT");
  if (path == nullptr) return;
  std::string name;
  int count = 0;
  if (!(std::ifstream(path) >> name >> count)) return;
  armed_by = path;
  arm_crash_point(name, count);
}

void crash_point(std::string_view name) {
  if (reaches_left == 0 || (name != armed && armed != "*")) return;
  if (--reaches_left > 0) return;
  if (!armed_by.empty()) ::unlink(armed_by.c_str());
  ::raise(SIGKILL);
}

}  // namespace tensord::os

#endif
