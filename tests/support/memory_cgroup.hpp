// MemoryCgroup: a memory cgroup of the test's own, of either version, with a limit. Gone with the object,
// once its processes are.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

namespace tensord::test {

class MemoryCgroup {
 public:
  // Nothing: this process may make none here.
  static std::optional<MemoryCgroup> make(std::uint64_t limit_bytes) {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, at, type, options, skipped;
    while (mounts >> device >> at >> type >> options && std::getline(mounts, skipped)) {
      const bool unified = type == "cgroup2";
      if (!unified && (type != "cgroup" || ("," + options + ",").find(",memory,") == std::string::npos))
        continue;
      MemoryCgroup group(at + "/tensord-test-" + std::to_string(::getpid()), unified);
      std::error_code failed;
      if (!std::filesystem::create_directory(group.folder_, failed) || failed) continue;
      group.owned_ = true;
      if (unified) write(at + "/cgroup.subtree_control", "+memory");
      const bool limited = group.set(unified ? "memory.max" : "memory.limit_in_bytes", limit_bytes);
      if (unified) group.set("memory.swap.max", 0);
      if (limited) return group;
    }
    return std::nullopt;
  }
  MemoryCgroup(MemoryCgroup&& other) noexcept : folder_(other.folder_), unified_(other.unified_) {
    std::swap(owned_, other.owned_);
  }
  MemoryCgroup& operator=(MemoryCgroup&&) = delete;
  ~MemoryCgroup() {
    // A process that has just ended may take a moment to leave.
    for (int i = 0; owned_ && ::rmdir(folder_.c_str()) != 0 && i < 200; ++i) ::usleep(5'000);
  }

  // The process and what it forks later; what it has already stays charged elsewhere.
  bool enter(pid_t pid) const { return write(folder_ + "/cgroup.procs", std::to_string(pid)); }
  [[nodiscard]] std::uint64_t used_bytes() const {
    std::uint64_t bytes = 0;
    std::ifstream(folder_ + (unified_ ? "/memory.current" : "/memory.usage_in_bytes")) >> bytes;
    return bytes;
  }
  // A line of memory.stat.
  [[nodiscard]] std::uint64_t stat(const std::string& wanted) const { return line_of("memory.stat", wanted); }
  // How often the kernel killed somebody here, which both versions count.
  [[nodiscard]] std::uint64_t killed() const {
    return line_of(unified_ ? "memory.events" : "memory.oom_control", "oom_kill");
  }

 private:
  MemoryCgroup(std::string folder, bool unified) : folder_(std::move(folder)), unified_(unified) {}
  static bool write(const std::string& file, const std::string& text) {
    std::ofstream stream(file);
    stream << text << std::flush;
    return stream.good();
  }
  bool set(const std::string& file, std::uint64_t number) const {
    return write(folder_ + "/" + file, std::to_string(number));
  }
  [[nodiscard]] std::uint64_t line_of(const std::string& file, const std::string& wanted) const {
    std::ifstream stream(folder_ + "/" + file);
    std::string key;
    for (std::uint64_t number = 0; stream >> key >> number;) {
      if (key == wanted) return number;
    }
    return 0;
  }

  std::string folder_;
  bool unified_;
  bool owned_ = false;
};

}  // namespace tensord::test
