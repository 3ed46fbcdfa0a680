#include "killers.hpp"

#include <cmath>

namespace tensord::soak {

bool Moments::come() {
  if (per_second_ <= 0 || std::chrono::steady_clock::now() < next_) return false;
  draw();
  return true;
}

void Moments::draw() {
  if (per_second_ <= 0) return;
  // As far apart as the drops of a rain.
  const double part = (static_cast<double>(random_.below(1'000'000)) + 1) / 1'000'001;
  next_ =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                             std::chrono::duration<double>(-std::log(part) / per_second_));
}

void Killers::look_around() {
  if (kills_.come()) workers_.kill(random_.below(workers_.size()), /*descendants_too=*/random_.one_in(2));
  if (stops_.come()) {
    workers_.stop(random_.below(workers_.size()), std::chrono::milliseconds(1 + random_.below(300)));
  }
}

}  // namespace tensord::soak
