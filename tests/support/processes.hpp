// Processes: what the kernel has counted of a process, from /proc.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tensord::test {

// How often its threads went to sleep of themselves. A thread that is asleep and is woken adds one.
[[nodiscard]] std::uint64_t sleeps(pid_t pid);
// The same, once nothing has changed for a while: work that was begun before is over.
[[nodiscard]] std::uint64_t sleeps_at_rest(pid_t pid);

// The time it ran, in user and in kernel mode, in ticks of sysconf(_SC_CLK_TCK).
[[nodiscard]] std::uint64_t cpu_ticks(pid_t pid);

// Those of its first thread, which in the daemon is the event loop's; minor and major ones.
[[nodiscard]] std::uint64_t page_faults_of_main_thread(pid_t pid);

// The only child of a process that has one at most, such as a keeper; nothing if there is none now.
[[nodiscard]] std::optional<pid_t> child_of(pid_t parent);

// Of this process.
[[nodiscard]] std::size_t own_maps();
[[nodiscard]] std::size_t own_descriptors();

}  // namespace tensord::test
