// DaemonKiller: ends the daemon, at any moment or at one of its crash points, also while it takes the store
// over from the one before. Its clients must notice nothing but a delay.
//
// REQUIRES  tensord --keep, which starts the next one.
// Threads   one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kept_store.hpp"
#include "killers.hpp"
#include "random.hpp"

namespace tensord::soak {

class DaemonKiller {
 public:
  DaemonKiller(const test::KeptStore& store, double kills_per_minute, std::uint64_t seed)
      : store_(store),
        random_(seed),
        kills_(kills_per_minute / 60, random_),
        stops_(kills_per_minute / 240, random_) {}
  void look_around();
  // Nobody is to die any more: lets a stopped daemon go on, and takes back what the next one was told.
  void end();

  [[nodiscard]] const Workers::Kills& kills() const { return counts_; }

 private:
  void kill();
  void stop();
  void note_death();

  const test::KeptStore& store_;
  Random random_;
  Moments kills_;
  Moments stops_;
  std::string point_{};  // where the next one, or this one, is to die
  std::optional<pid_t> stopped_{};
  std::chrono::steady_clock::time_point goes_on_{};
  Workers::Kills counts_;
};

}  // namespace tensord::soak
