// Live tensors: many write them in place, and die doing it. A whole version is of one writer; what was
// written and said to be is not lost; torn is only what somebody died on.
#pragma once

#include <vector>

#include "actor.hpp"

namespace tensord::soak {

class LiveWork {
 public:
  explicit LiveWork(Actor& actor) : actor_(actor) {}
  void write(const Place& place);
  void read(const Place& place);
  void wait(const Place& place);

 private:
  Actor& actor_;
  std::vector<std::uint64_t> words_;  // a copy, for reading
};

// Whether the tensor that the view is of is whole; writes it anew if somebody died on it. For the end, when
// nobody else is there.
bool repair(const Actor& actor, const View& view, const Place& place);

}  // namespace tensord::soak
