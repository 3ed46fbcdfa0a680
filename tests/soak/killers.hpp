// Killers: at any moment, whoever it may be.
#pragma once

#include <chrono>

#include "random.hpp"
#include "workers.hpp"

namespace tensord::soak {

// Something that happens `per_second` times, on the average, at moments that are drawn.
class Moments {
 public:
  Moments(double per_second, Random& random) : per_second_(per_second), random_(random) { draw(); }
  // Whether one of them has come; says so once for each.
  bool come();

 private:
  void draw();
  const double per_second_;
  Random& random_;
  std::chrono::steady_clock::time_point next_;
};

class Killers {
 public:
  Killers(Workers& workers, double kills_per_second, std::uint64_t seed)
      : workers_(workers),
        random_(seed),
        kills_(kills_per_second, random_),
        stops_(kills_per_second / 2, random_) {}
  void look_around();

 private:
  Workers& workers_;
  Random random_;
  Moments kills_;
  Moments stops_;
};

}  // namespace tensord::soak
