// SystemMemory: how much memory this process can still be given before the kernel kills somebody for it.
//
// Question it answers: may I reserve so many bytes now?
// fallocate() on shared memory fails cleanly only at the limits of a tmpfs and of strict overcommit. At the
// limit of a memory cgroup, or of the machine, the kernel looks for a process to kill instead, and finds the
// one that asked. So the daemon asks here first, and refuses by itself. See
// docs/decisions/asking-for-memory.md.
//
// Limit    What it says is true of a moment that has passed; some is always left for who takes memory
//          meanwhile (kept_free_bytes).
// Threads  any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tensord::daemon {

// Of the machine, or of the memory cgroup that leaves least.
struct MemoryRoom {
  std::uint64_t free_bytes = UINT64_MAX;   // that may be taken
  std::uint64_t limit_bytes = UINT64_MAX;  // of all that it has
  std::string of;                          // "the machine", "the memory cgroup /a/b"
};

class SystemMemory {
 public:
  // Reads what the kernel shows below root/proc and root/sys; another root than none is a test's. `process`
  // is whose cgroups count: this one's, or those of a pid.
  explicit SystemMemory(std::string root = {}, std::string process = "self");

  // A machine that does not say has no limit.
  [[nodiscard]] MemoryRoom room() const;
  // The least that the machine and the cgroups above the process allow it ever.
  [[nodiscard]] std::uint64_t limit_bytes() const;

  // What is left to others and to the kernel's own bookkeeping.
  [[nodiscard]] static std::uint64_t kept_free_bytes(std::uint64_t limit_bytes);

 private:
  struct Hierarchy {
    std::string mounted_at;
    std::string from;  // the group that is the root of the mount
    bool unified = false;
  };
  struct Group {
    std::string name;
    std::string folder;
    bool unified = false;
  };
  // Those that the process is in, from its own to the root.
  [[nodiscard]] std::vector<Group> groups() const;
  [[nodiscard]] MemoryRoom room_of_machine(std::uint64_t& free_swap_bytes) const;
  [[nodiscard]] static std::uint64_t limit_of(const Group& group);
  [[nodiscard]] static MemoryRoom room_of(const Group& group, std::uint64_t free_swap_bytes);

  const std::string root_;
  const std::string process_;
  std::vector<Hierarchy> hierarchies_;
};

}  // namespace tensord::daemon
