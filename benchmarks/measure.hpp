// Measure: several ways of doing one thing, timed in turns.
//
// The speed of a machine drifts from second to second, so two figures can be compared only if they
// were taken side by side: each round runs every way once, in an order drawn anew. What comes out
// is one figure per way and round, as a line of JSON; `run` makes medians and ratios of them.
//
//   {"question": "attach", "parameters": {"tensors": 1000}, "ways": [
//     {"way": "tensord attach, detach", "role": "ours", "ns": [61.2, 60.9, ...]}, ...]}
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tensord::bench {

// What the ratios are made of: a floor is what no implementation can do without, a peer is what one
// would do without tensord.
enum class Role { kOurs, kFloor, kPeer };

struct Way {
  std::string name;  // of plain characters: it goes into JSON as it is
  Role role = Role::kOurs;
  std::size_t operations = 1;        // that one call of `run` does
  std::function<void()> run;         // timed
  std::function<void()> clean_up{};  // after it, not timed
};

using Parameters = std::vector<std::pair<std::string, std::uint64_t>>;

// Keeps the compiler from dropping a computation whose result nobody uses.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

inline void compare(const std::string& question, const Parameters& parameters, int rounds,
                    const std::vector<Way>& ways) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> ns(ways.size());
  std::vector<std::size_t> order(ways.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::minstd_rand random(1);

  // Round -1 warms caches, page tables and the daemon.
  for (int round = -1; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      const Clock::time_point begin = Clock::now();
      ways[i].run();
      const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
      if (ways[i].clean_up) ways[i].clean_up();
      if (round >= 0) ns[i].push_back(took.count() / static_cast<double>(ways[i].operations));
    }
  }

  const auto role_name = [](Role role) {
    return role == Role::kOurs ? "ours" : role == Role::kFloor ? "floor" : "peer";
  };
  std::printf("{\"question\": \"%s\", \"parameters\": {", question.c_str());
  const char* separator = "";
  for (const auto& [name, value] : parameters) {
    std::printf("%s\"%s\": %llu", separator, name.c_str(), static_cast<unsigned long long>(value));
    separator = ", ";
  }
  std::printf("}, \"ways\": [");
  for (std::size_t i = 0; i < ways.size(); ++i) {
    std::printf("%s{\"way\": \"%s\", \"role\": \"%s\", \"ns\": [", i == 0 ? "" : ", ", ways[i].name.c_str(),
                role_name(ways[i].role));
    separator = "";
    for (const double sample : ns[i]) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
    std::printf("]}");
  }
  std::printf("]}\n");
  std::fflush(stdout);
}

}  // namespace tensord::bench
