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
    // One operation, of which the state that is not quiet tells both ends.
    const State& under_way = after.is_quiet() ? before_ : after;
    possible = stamp == under_way.now || stamp == under_way.next;
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
