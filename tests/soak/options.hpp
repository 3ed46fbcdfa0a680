// Options of the soak test, from its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tensord::soak {

struct Options {
  double seconds = 60;
  std::uint64_t seed = 1;
  double kills_per_second = 6;  // of workers; as many again are only stopped for a while
  double daemon_kills_per_minute = 30;
  std::string python{};  // that has a tensord of the same build; empty: no workers in Python
  std::string python_worker{};
};

// Nothing, and the code to exit with, if there is nothing to do.
[[nodiscard]] std::optional<Options> parse_options(int argc, char** argv, int& exit_code);

}  // namespace tensord::soak
