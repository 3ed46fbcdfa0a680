// The time that tensors bear.
#pragma once

#include <chrono>
#include <cstdint>

namespace tensord::daemon {

[[nodiscard]] inline std::uint64_t unix_now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace tensord::daemon
