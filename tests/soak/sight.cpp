#include "sight.hpp"

namespace tensord::soak {

Sight::State Sight::read() const {
  for (;;) {
    const State state{cell_.sequence, cell_.now, cell_.next};
    if (cell_.sequence == state.sequence) return state;
  }
}

std::optional<std::uint64_t> Sight::steady() const {
  const State after = read();
  if (after.sequence != before_.sequence || !after.is_quiet()) return std::nullopt;
  return after.now;
}

std::optional<std::string> Sight::contradicts(std::uint64_t stamp) const {
  const State after = read();
  bool possible = false;
  if (after.sequence == before_.sequence && after.is_quiet()) {
    possible = stamp == after.now;
  } else if (after.sequence - before_.sequence <= 1) {
    // One operation at most. `now` is written before the sequence turns even, so either may have it already.
    possible = before_.allows(stamp) || after.allows(stamp);
  } else {
    // Several. Stamps only grow.
    possible = stamp == 0 || (stamp >= before_.now && stamp <= cell_.last_stamp);
  }
  if (possible) return std::nullopt;
  return "saw " + (stamp == 0 ? "nothing" : "stamp " + std::to_string(stamp)) + "; before it " +
         before_.text() + ", after it " + after.text();
}

std::string Sight::State::text() const {
  const auto of = [](std::uint64_t stamp) {
    return stamp == 0 ? "nothing" : "stamp " + std::to_string(stamp);
  };
  return of(now) + (is_quiet() ? " was there" : " or " + of(next)) + " (sequence " +
         std::to_string(sequence) + ")";
}

}  // namespace tensord::soak
