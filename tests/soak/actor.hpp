// Actor: one worker's connection, its dice and its row of the scoreboard.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>

#include <tensord/store.hpp>

#include "random.hpp"
#include "scoreboard.hpp"

namespace tensord::soak {

struct Task {
  const Scoreboard& board;
  std::string socket;
  unsigned worker = 0;  // its row
  std::uint64_t seed = 0;
};

class Actor {
 public:
  explicit Actor(const Task& task) : task_(task), random(task.seed), store(connect()) {}

  [[nodiscard]] const Scoreboard& board() const { return task_.board; }
  [[nodiscard]] bool stopped() const { return task_.board.stopped(); }

  void begin(Count what) const {
    row().doing = static_cast<std::uint64_t>(what);
    ++row().progress;
  }
  void count(Count what) const { ++row().counts[static_cast<std::size_t>(what)]; }

  void connect_again() {
    store.close();
    store = connect();
  }

  // Most of the time at once on to the next thing; sometimes long enough for the daemon to fall asleep.
  void pause() {
    if (random.one_in(4)) ::usleep(static_cast<useconds_t>(random.below(400)));
  }

 private:
  [[nodiscard]] Store connect() const {
    begin(Count::kConnect);
    Store made = Store::connect({task_.socket, /*start=*/false});
    count(Count::kConnect);
    return made;
  }
  [[nodiscard]] Worker& row() const { return task_.board->workers[task_.worker]; }

  const Task task_;

 public:
  Random random;
  Store store;
};

}  // namespace tensord::soak
