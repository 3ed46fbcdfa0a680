// Crash points: named places where a test can have this process die by SIGKILL, to show that
// nothing is lost there. Built in only with TENSORD_CRASH_POINTS (the dev and asan presets); in a
// release they are nothing at all.
#pragma once

#include <string_view>

namespace tensord::os {

#if defined(TENSORD_CRASH_POINTS)

// From now on, the process dies when it reaches this point for the `count`th time.
void arm_crash_point(std::string_view name, int count = 1);
// For a process that a test does not fork itself: arms what the file says that $TENSORD_CRASH_AT names,
// "<name> <count>", with * for any point. The file is gone when the process dies of it, so that it is done
// once.
void arm_crash_point_from_environment();
void crash_point(std::string_view name);

#else

inline void arm_crash_point_from_environment() {}
inline void crash_point(std::string_view) {}

#endif

}  // namespace tensord::os
