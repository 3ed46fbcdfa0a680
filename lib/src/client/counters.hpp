// Counters: what a Store has done, across its connections.
#pragma once

#include <atomic>
#include <cstdint>

namespace tensord::client {

struct Counters {
  std::atomic<std::uint64_t> bytes_copied_in{0};
  std::atomic<std::uint64_t> bytes_copied_out{0};
  std::atomic<std::uint64_t> requests{0};
};

}  // namespace tensord::client
