// What the kernel has of a process: its descriptors and mappings by what they are, and the memory behind the
// store's segments. A leak that the process itself does not know of shows here.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace tensord::soak {

struct KernelFigures {
  using ByKind = std::map<std::string, std::uint64_t>;
  ByKind descriptors;  // "memfd:tensord-ledger", "socket", ...; without segments
  ByKind mappings;     // of memfds; without segments
  std::uint64_t segments = 0;
  std::uint64_t segment_bytes = 0;  // memory behind them
  std::uint64_t resident_bytes = 0;
};

// Nothing if this process may not look: a daemon, and its keeper, let nobody but root.
[[nodiscard]] std::optional<KernelFigures> kernel_figures(pid_t process);

// How b differs from a, for people; empty if it does not.
[[nodiscard]] std::string difference(const KernelFigures::ByKind& a, const KernelFigures::ByKind& b);

}  // namespace tensord::soak
