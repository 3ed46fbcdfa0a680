#include "processes.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

namespace tensord::test {
namespace {

namespace fs = std::filesystem;

fs::path directory_of(pid_t pid) { return fs::path("/proc") / std::to_string(pid); }

std::uint64_t sleeps_of_thread(const fs::path& thread) {
  std::ifstream status(thread / "status");
  const std::string key = "voluntary_ctxt_switches:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoull(line.substr(key.size()));
  }
  throw std::runtime_error(thread.string() + "/status does not say how often the thread slept");
}

}  // namespace

std::uint64_t sleeps(pid_t pid) {
  std::uint64_t sum = 0;
  for (const auto& thread : fs::directory_iterator(directory_of(pid) / "task"))
    sum += sleeps_of_thread(thread.path());
  return sum;
}

std::uint64_t sleeps_at_rest(pid_t pid) {
  constexpr int kLooks = 100;
  constexpr useconds_t kPause_us = 100'000;
  std::uint64_t before = sleeps(pid);
  for (int look = 0; look < kLooks; ++look) {
    ::usleep(kPause_us);
    const std::uint64_t now = sleeps(pid);
    if (now == before) return now;
    before = now;
  }
  throw std::runtime_error("process " + std::to_string(pid) + " does not come to rest");
}

std::uint64_t cpu_ticks(pid_t pid) {
  std::ifstream file(directory_of(pid) / "stat");
  std::string text;
  std::getline(file, text);
  // The second field is the program's name, which may hold anything: the others follow its bracket.
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  if (!(fields >> user >> system)) throw std::runtime_error("/proc/<pid>/stat has no times: " + text);
  return user + system;
}

std::size_t own_maps() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

std::size_t own_descriptors() {
  // One of them is the directory being read.
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {})) - 1;
}

}  // namespace tensord::test
