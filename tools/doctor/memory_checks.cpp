#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>

#include "checks.hpp"
#include "human.hpp"
#include "parts.hpp"
#include "system_memory.hpp"

namespace tensord::tools::doctor {
namespace {

using daemon::MemoryRoom;
using daemon::SystemMemory;

// What Docker gives a container, and what made people look here.
constexpr std::uint64_t kSmallShm = std::uint64_t{64} << 20;

std::string memory_process(const Sight& sight) {
  return sight.daemon && sight.daemon->pid ? *sight.daemon->pid : "self";
}

// Address space then, of which no byte is memory yet.
bool is_on_demand(const Sight& sight) {
  return sight.daemon && sight.daemon->was_given("--reserve", "on-demand");
}

std::uint64_t still_to_reserve(const StoreStats& stats) {
  return stats.limit_bytes - std::min(stats.limit_bytes, stats.reserved_bytes);
}

}  // namespace

Findings check_memory(const Machine& machine, const Sight& sight) {
  const MemoryRoom room = SystemMemory(machine.root(), memory_process(sight)).room();
  if (room.of.empty()) return {};
  const std::string found =
      room.of + " can give " + human_bytes(room.free_bytes) + " of its " + human_bytes(room.limit_bytes);
  if (room.free_bytes == 0) {
    return {problem(room.of + " has no memory left to give",
                    "end what takes it (`ps aux --sort=-rss | head`), or delete tensors that nobody needs",
                    "a put that wants new memory fails with OutOfSpaceError until then")};
  }
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr || is_on_demand(sight) || still_to_reserve(*stats) <= room.free_bytes)
    return {ok(found)};
  return {advice(
      "the store may take " + human_bytes(still_to_reserve(*stats)) + " more, and " + found,
      "free memory, or start the daemon with --max-bytes " +
          std::to_string((stats->reserved_bytes + room.free_bytes) >> 20) + "MiB",
      "`tensorctl status` then shows what can really be had; until then OutOfSpaceError comes before the "
      "limit does")};
}

Findings check_cgroup(const Machine& machine, const Sight& sight) {
  const std::uint64_t machine_bytes = machine.memory_bytes("MemTotal").value_or(UINT64_MAX);
  const std::string process = memory_process(sight);
  const std::string whose = process == "self" ? "this process" : "the daemon";
  const std::uint64_t limit_bytes = SystemMemory(machine.root(), process).limit_bytes();
  if (limit_bytes >= machine_bytes) return {ok("no memory cgroup bounds " + whose)};
  const std::string found = "the memory cgroup of " + whose + " is bounded to " + human_bytes(limit_bytes) +
                            " of the machine's " + human_bytes(machine_bytes);
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr || is_on_demand(sight) || stats->limit_bytes <= limit_bytes) {
    return {ok(found + (stats == nullptr ? "" : ", the store to " + human_bytes(stats->limit_bytes)))};
  }
  return {advice(
      found + ", the store to more: " + human_bytes(stats->limit_bytes),
      "raise the group's limit (MemoryMax= of the unit, `docker run --memory`), or start the daemon with a "
      "smaller --max-bytes",
      "all of the store's limit can be had: tensors are charged to the daemon's group, whoever put them")};
}

Findings check_shm(const Machine& machine, const Sight&) {
  std::istringstream mounts(machine.text("/proc/self/mountinfo").value_or(""));
  std::optional<std::uint64_t> size_bytes;
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" /dev/shm ") == std::string::npos) continue;
    const std::string options = line.substr(line.rfind(' ') + 1);
    for (std::string_view rest = options; !rest.empty();) {
      const std::string_view option = daemon::take_part(rest, ',');
      if (option.starts_with("size=") && option.ends_with('k')) {
        size_bytes = std::strtoull(std::string(option.substr(5)).c_str(), nullptr, 10) * 1024;
      }
    }
  }
  if (!size_bytes || *size_bytes > kSmallShm) return {ok("tensord keeps nothing in /dev/shm")};
  return {
      ok("/dev/shm has " + human_bytes(*size_bytes) +
         " only, which does not matter: tensord keeps nothing there, so no --shm-size and no --ipc=host")};
}

Findings check_overcommit(const Machine& machine, const Sight& sight) {
  const auto mode = machine.number("/proc/sys/vm/overcommit_memory");
  if (mode != 2) {
    return {ok("vm.overcommit_memory = " + (mode ? std::to_string(*mode) : std::string("unknown")) +
               ": address space costs nothing until it is used")};
  }
  const std::uint64_t limit_bytes = machine.memory_bytes("CommitLimit").value_or(0);
  const std::uint64_t promised_bytes = machine.memory_bytes("Committed_AS").value_or(0);
  const std::uint64_t left_bytes = limit_bytes - std::min(limit_bytes, promised_bytes);
  const std::string found =
      "vm.overcommit_memory = 2: " + human_bytes(left_bytes) + " of " + human_bytes(limit_bytes) +
      " are left to promise; tensors count, and each torch() of a sealed one counts its whole size "
      "once more, for it could be written";
  const char* const change =
      "`sysctl vm.overcommit_memory=0`, or a higher vm.overcommit_ratio; attach \"r+\" or numpy() map "
      "nothing privately";
  const StoreStats* const stats = sight.stats();
  const std::uint64_t wanted_bytes = stats == nullptr || is_on_demand(sight) ? 0 : still_to_reserve(*stats);
  if (left_bytes > wanted_bytes)
    return {advice(found, change, "large tensors can be mapped privately by many processes")};
  return {problem(found + "; the store may want " + human_bytes(wanted_bytes) + " more", change,
                  "the store can grow to its limit: the kernel refuses before it is reached")};
}

Findings check_swap(const Machine& machine, const Sight&) {
  const std::uint64_t total_bytes = machine.memory_bytes("SwapTotal").value_or(0);
  if (total_bytes == 0) return {ok("no swap space: tensors stay in memory")};
  const std::uint64_t free_bytes = machine.memory_bytes("SwapFree").value_or(0);
  const std::uint64_t used_bytes = total_bytes - std::min(total_bytes, free_bytes);
  const std::uint64_t swappiness = machine.number("/proc/sys/vm/swappiness").value_or(60);
  const std::string found = human_bytes(used_bytes) + " of " + human_bytes(total_bytes) +
                            " swap space are in use (vm.swappiness = " + std::to_string(swappiness) + ")";
  if (used_bytes == 0 || swappiness <= 1) return {ok(found)};
  return {advice(found + "; shared memory is swapped out as any other",
                 "MemorySwapMax=0 in a drop-in of tensord.service (`systemctl edit tensord`), or `sysctl "
                 "vm.swappiness=1`",
                 "no element of a tensor is read back from disk")};
}

Findings check_oom(const Machine& machine, const Sight& sight) {
  if (!sight.daemon || !sight.daemon->pid) return {};
  const auto text = machine.text("/proc/" + *sight.daemon->pid + "/oom_score_adj");
  if (!text) return {};
  const std::int64_t adjustment = leading_number(*text).value_or(0);
  const std::string found = "the daemon's oom_score_adj is " + std::to_string(adjustment);
  if (adjustment < 0) return {ok(found + ": the kernel ends others first when memory runs out")};
  if (adjustment == 0) return {ok(found + ", as of most processes")};
  return {advice(found + ": when memory runs out, the kernel ends it sooner than others",
                 "the system's service instead of a user's (`systemctl enable --now tensord.socket`), which "
                 "has -900; or "
                 "`choom -p " +
                     *sight.daemon->pid + " -n 0` as root",
                 "another process is ended, and not the one that has everybody's tensors")};
}

}  // namespace tensord::tools::doctor
