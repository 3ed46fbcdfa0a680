// A group's usage counts the page cache, too, which the kernel gives up before it kills anybody: what lies on
// the file lists is as good as free. Shared memory is not on them: it could only go to swap space.
//
// Of the old hierarchy (version 1) swap space counts for nothing, because its limit is of memory and swap
// space together and mostly not kept at all. That errs on the side of refusing.
#include "system_memory.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "parts.hpp"

namespace tensord::daemon {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kKeptPart = 16;
constexpr std::uint64_t kLeastKeptBytes = 8 * kMiB;
constexpr std::uint64_t kMostKeptBytes = 512 * kMiB;

constexpr std::uint64_t less(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

// Nothing: there is no such file, or it says "max".
std::optional<std::uint64_t> number_in(const std::string& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  return stream >> number ? std::optional(number) : std::nullopt;
}

// The sum of these lines of a file of "key number" lines.
std::uint64_t sum_in(const std::string& file, std::initializer_list<std::string_view> keys) {
  std::ifstream stream(file);
  std::uint64_t sum = 0;
  std::string key;
  for (std::uint64_t number = 0; stream >> key >> number;) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) sum += number;
  }
  return sum;
}

bool lists(std::string_view commas, std::string_view word) {
  while (!commas.empty()) {
    if (take_part(commas, ',') == word) return true;
  }
  return false;
}

}  // namespace

SystemMemory::SystemMemory(std::string root, std::string process)
    : root_(std::move(root)), process_(std::move(process)) {
  // proc(5): id parent major:minor root mounted-at options [optional...] - type source super-options
  std::ifstream mounts(root_ + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string skipped, from, mounted_at, type, options;
    words >> skipped >> skipped >> skipped >> from >> mounted_at;
    while (words >> skipped && skipped != "-") {
    }
    words >> type >> skipped >> options;
    const bool unified = type == "cgroup2";
    if (!unified && (type != "cgroup" || !lists(options, "memory"))) continue;
    hierarchies_.push_back({root_ + mounted_at, from == "/" ? "" : from, unified});
  }
}

std::vector<SystemMemory::Group> SystemMemory::groups() const {
  std::vector<Group> groups;
  std::ifstream membership(root_ + "/proc/" + process_ + "/cgroup");
  for (std::string line; std::getline(membership, line);) {
    // number:controllers:group, with "0::group" for the unified hierarchy
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && !lists(controllers, "memory")) continue;
    for (const Hierarchy& hierarchy : hierarchies_) {
      if (hierarchy.unified != unified) continue;
      std::string name = line.substr(second + 1);
      if (name == "/") name.clear();
      // A container may see its own part only of the hierarchy, under the name that it has outside.
      if ((name + "/").starts_with(hierarchy.from + "/")) name.erase(0, hierarchy.from.size());
      for (;; name.resize(name.find_last_of('/'))) {
        groups.push_back({name.empty() ? "/" : name, hierarchy.mounted_at + name, unified});
        if (name.find('/') == std::string::npos) break;
      }
    }
  }
  return groups;
}

std::uint64_t SystemMemory::kept_free_bytes(std::uint64_t limit_bytes) {
  return std::clamp(limit_bytes / kKeptPart, kLeastKeptBytes, kMostKeptBytes);
}

MemoryRoom SystemMemory::room_of_machine(std::uint64_t& free_swap_bytes) const {
  std::ifstream file(root_ + "/proc/meminfo");
  std::uint64_t total_kib = 0, available_kib = 0, free_swap_kib = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kib = 0;
    words >> key >> kib;
    if (key == "MemTotal:") total_kib = kib;
    if (key == "MemAvailable:") available_kib = kib;
    if (key == "SwapFree:") free_swap_kib = kib;
  }
  free_swap_bytes = free_swap_kib * 1024;
  if (total_kib == 0) return {};
  const std::uint64_t limit_bytes = total_kib * 1024;
  return {less(available_kib * 1024 + free_swap_bytes, kept_free_bytes(limit_bytes)), limit_bytes,
          "the machine"};
}

std::uint64_t SystemMemory::limit_of(const Group& group) {
  if (!group.unified) return number_in(group.folder + "/memory.limit_in_bytes").value_or(UINT64_MAX);
  // Who is above `high` is not killed but slowed down until nothing works any more.
  return std::min(number_in(group.folder + "/memory.max").value_or(UINT64_MAX),
                  number_in(group.folder + "/memory.high").value_or(UINT64_MAX));
}

MemoryRoom SystemMemory::room_of(const Group& group, std::uint64_t free_swap_bytes) {
  const std::uint64_t limit_bytes = limit_of(group);
  if (limit_bytes >= std::uint64_t{1} << 62) return {};  // version 1 writes "none" as a large number
  const auto number = [&](const char* file) { return number_in(group.folder + "/" + file); };
  const std::uint64_t used_bytes =
      number(group.unified ? "memory.current" : "memory.usage_in_bytes").value_or(0);
  const std::string stat = group.folder + "/memory.stat";
  std::uint64_t free_bytes = less(limit_bytes, used_bytes);
  free_bytes += group.unified ? sum_in(stat, {"inactive_file", "active_file"})
                              : sum_in(stat, {"total_inactive_file", "total_active_file"});
  if (group.unified) {
    const std::uint64_t swap_bytes = number("memory.swap.max").value_or(UINT64_MAX);
    free_bytes += std::min(less(swap_bytes, number("memory.swap.current").value_or(0)), free_swap_bytes);
  }
  return {less(free_bytes, kept_free_bytes(limit_bytes)), limit_bytes, "the memory cgroup " + group.name};
}

MemoryRoom SystemMemory::room() const {
  std::uint64_t free_swap_bytes = 0;
  MemoryRoom least = room_of_machine(free_swap_bytes);
  for (const Group& group : groups()) {
    if (MemoryRoom room = room_of(group, free_swap_bytes); room.free_bytes < least.free_bytes) {
      least = std::move(room);
    }
  }
  return least;
}

std::uint64_t SystemMemory::limit_bytes() const {
  std::uint64_t free_swap_bytes = 0;
  std::uint64_t least = room_of_machine(free_swap_bytes).limit_bytes;
  for (const Group& group : groups()) least = std::min(least, limit_of(group));
  return least;
}

}  // namespace tensord::daemon
