// Which processor a thread runs on, and how it gets to another.
#pragma once

#include <cstdint>

namespace tensord::os {

// The processor of the calling thread, now.
[[nodiscard]] std::uint32_t this_cpu();

// Moves the calling thread to any processor but `cpu`, if it may run on another. It may move back later.
void leave_cpu(std::uint32_t cpu);

}  // namespace tensord::os
