// Measure: several ways of doing one thing, timed in turns.
//
// The speed of a machine drifts from second to second, so two figures can be compared only if they
// were taken side by side: each round runs every way once, in an order drawn anew. What comes out
// is one figure per way and round, as a line of JSON; `run` makes medians and ratios of them.
//
//   {"question": "attach", "parameters": {"tensors": 1000}, "ways": [
//     {"way": "tensord: attach, detach", "role": "ours", "ns": [61.2, 60.9, ...]}, ...]}
//
// What is counted rather than timed is a line of its own:
//
//   {"question": "hold", "parameters": {"tensors": 100000}, "counts": {"descriptors": 3, ...}}
//
// With --small a program does as little as shows that it works: its times mean nothing then.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensord::bench {

inline constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

// What the ratios are made of: a floor is what no implementation can do without, a peer is what one
// would do without tensord. Where several floors are given, the fastest of them is the floor. An aside helps
// to understand the others, and is none of these.
enum class Role { kOurs, kFloor, kPeer, kAside };

struct Way {
  std::string name;  // of plain characters: it goes into JSON as it is
  Role role = Role::kOurs;
  std::size_t operations = 1;              // that one call of `run` does
  std::function<void()> run{};             // timed
  std::function<void()> clean_up{};        // after it, not timed
  std::function<std::int64_t()> run_ns{};  // instead of `run`: what looks at the clock itself
};

using Numbers = std::vector<std::pair<std::string, std::uint64_t>>;

// Keeps the compiler from dropping a computation whose result nobody uses.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// Keeps the compiler from knowing what a number is.
inline void hide(std::uint64_t& number) { asm volatile("" : "+r"(number)); }

// Of a clock that all processes share.
inline std::int64_t now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline bool& small() {
  static bool is_small = false;
  return is_small;
}

// Does something so often that one of it can be told from the clock's own noise.
template <class Operation>
std::function<void()> times(std::size_t operations, Operation operation) {
  return [operations, operation]() mutable {
    for (std::size_t i = 0; i < operations; ++i) operation();
  };
}

inline std::string begin_line(const std::string& question, const Numbers& parameters) {
  std::string line = "{\"question\": \"" + question + "\", \"parameters\": {";
  for (const auto& [name, value] : parameters)
    line += (line.back() == '{' ? "\"" : ", \"") + name + "\": " + std::to_string(value);
  return line + "}, ";
}

inline void count(const std::string& question, const Numbers& parameters, const Numbers& counts) {
  std::string line = begin_line(question, parameters) + "\"counts\": {";
  for (const auto& [name, value] : counts)
    line += (line.back() == '{' ? "\"" : ", \"") + name + "\": " + std::to_string(value);
  std::printf("%s}}\n", line.c_str());
  std::fflush(stdout);
}

inline void compare(const std::string& question, const Numbers& parameters, int rounds,
                    const std::vector<Way>& ways) {
  std::vector<std::vector<double>> ns(ways.size());
  std::vector<std::size_t> order(ways.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::minstd_rand random(1);
  if (small()) rounds = 2;

  // Round -1 warms caches, page tables and the daemon.
  for (int round = -1; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      const std::int64_t begin = now_ns();
      std::int64_t took = 0;
      if (ways[i].run_ns) {
        took = ways[i].run_ns();
      } else {
        ways[i].run();
        took = now_ns() - begin;
      }
      if (ways[i].clean_up) ways[i].clean_up();
      if (round >= 0) ns[i].push_back(static_cast<double>(took) / static_cast<double>(ways[i].operations));
    }
  }

  constexpr const char* kRoleNames[] = {"ours", "floor", "peer", "aside"};
  std::printf("%s\"ways\": [", begin_line(question, parameters).c_str());
  for (std::size_t i = 0; i < ways.size(); ++i) {
    std::printf("%s{\"way\": \"%s\", \"role\": \"%s\", \"ns\": [", i == 0 ? "" : ", ", ways[i].name.c_str(),
                kRoleNames[static_cast<int>(ways[i].role)]);
    const char* separator = "";
    for (const double sample : ns[i]) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
    std::printf("]}");
  }
  std::printf("]}\n");
  std::fflush(stdout);
}

// What main() of a benchmark does.
template <class Body>
int answer(int argc, char** argv, const char* question, Body&& body) {
  small() = argc > 1 && std::string_view(argv[1]) == "--small";
  try {
    body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", question, error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace tensord::bench
