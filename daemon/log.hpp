// The daemon's log: standard error, one line an event; under systemd with journald's priorities.
// The only file that includes spdlog is log.cpp.
#pragma once

#include <string_view>

namespace tensord::daemon::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Call once, before the first line. Until then lines of kInfo and above are written.
void set_level(Level level);

void debug(std::string_view text);
void info(std::string_view text);
void warning(std::string_view text);
void error(std::string_view text);

}  // namespace tensord::daemon::log
