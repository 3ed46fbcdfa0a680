#include "processes.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

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

// A stat file of /proc.
class Stat {
 public:
  explicit Stat(const fs::path& path) {
    std::ifstream file(path);
    std::string text;
    std::getline(file, text);
    // The second field is the program's name, which may hold anything: the others follow its bracket.
    std::istringstream rest(text.substr(text.rfind(')') + 1));
    fields_.assign(std::istream_iterator<std::string>(rest), {});
    if (fields_.size() < 13) throw std::runtime_error(path.string() + " has no times: " + text);
  }

  // As proc(5) counts the fields; from the third on.
  [[nodiscard]] std::uint64_t number(std::size_t field) const { return std::stoull(fields_.at(field - 3)); }

 private:
  std::vector<std::string> fields_;
};

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
  const Stat stat(directory_of(pid) / "stat");
  return stat.number(14) + stat.number(15);
}

std::uint64_t page_faults_of_main_thread(pid_t pid) {
  const Stat stat(directory_of(pid) / "task" / std::to_string(pid) / "stat");
  return stat.number(10) + stat.number(12);
}

std::optional<pid_t> child_of(pid_t parent) {
  std::ifstream children(directory_of(parent) / "task" / std::to_string(parent) / "children");
  pid_t child = 0;
  return children >> child ? std::optional(child) : std::nullopt;
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
