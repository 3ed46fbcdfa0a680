// Random: what to do next. Everything that the soak test draws comes from its seed.
#pragma once

#include <cstdint>
#include <random>

namespace tensord::soak {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t seed() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tensord::soak
