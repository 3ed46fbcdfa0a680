// HugePages: whether the store's memory is to lie on pages of 2 MiB, and what the machine makes of it.
#pragma once

namespace tensord::daemon {

enum class HugePages {
  kAuto,    // where the kernel grants them
  kNever,   // pages of 4 KiB
  kAlways,  // as kAuto, with a warning for each segment that got fewer than it could have
};

// Whether to ask for huge pages. Tries one, and says once in the log what the machine grants.
[[nodiscard]] bool choose_huge_pages(HugePages wanted);

}  // namespace tensord::daemon
