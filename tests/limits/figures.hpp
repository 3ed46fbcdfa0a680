// Figures: what a limit cost, said in the test's output, from where docs/limits.md has it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

namespace tensord::test {

// A line of /proc/<pid>/status, in bytes: VmSize, VmRSS, RssAnon, RssShmem, VmPTE.
inline std::uint64_t status_bytes(pid_t pid, const std::string& key) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

// MemAvailable.
inline std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
  }
  return 0;
}

// Runs `work` and says what it took, in all and for each of `count`.
template <class Work>
void timed(const char* what, std::uint64_t count, Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  std::forward<Work>(work)();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%-36s %7.2f s, %8.2f us each\n", what, took.count(),
              took.count() / static_cast<double>(count) * 1e6);
  std::fflush(stdout);
}

inline void say_bytes(const char* what, std::uint64_t bytes) {
  std::printf("%-36s %7.1f MiB\n", what, static_cast<double>(bytes) / (1 << 20));
  std::fflush(stdout);
}

}  // namespace tensord::test
