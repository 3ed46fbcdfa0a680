#include "os/crash_point.hpp"

#if defined(TENSORD_CRASH_POINTS)

#include <csignal>
#include <string>

namespace tensord::os {
namespace {

// Armed by a test in a process that it has just forked, before anything else runs in it.
std::string armed;
int reaches_left = 0;

}  // namespace

void arm_crash_point(std::string_view name, int count) {
  armed = name;
  reaches_left = count;
}

void crash_point(std::string_view name) {
  if (reaches_left > 0 && name == armed && --reaches_left == 0) ::raise(SIGKILL);
}

}  // namespace tensord::os

#endif
