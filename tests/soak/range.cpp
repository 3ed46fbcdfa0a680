#include "range.hpp"

#include <unistd.h>

#include <chrono>

namespace tensord::soak {
namespace {

// What no hang-up takes, on a machine however busy.
constexpr std::chrono::seconds kHangUpLimit{60};

}  // namespace

void await_end_of(const Actor& actor, unsigned range, std::uint64_t life) {
  if (life == 0) return;
  const std::string prefix = bound_prefix_of(range, life);
  const auto deadline = std::chrono::steady_clock::now() + kHangUpLimit;
  while (actor.store.contains(prefix + "0")) {
    if (std::chrono::steady_clock::now() > deadline) {
      return actor.board().leak(prefix + "0 outlived its client");
    }
    if (actor.stopped()) break;
    ::usleep(1000);
    actor.begin(Count::kResolve);
  }
  // It was put first, so it is the last to be missed.
  if (const auto left = actor.store.names(prefix); !left.empty() && !actor.stopped()) {
    actor.board().leak(left[0] + " is there without its client");
  }
}

void settle(Looker& looker, const Scoreboard& board, unsigned range) {
  for (unsigned i = 0; i < kCells; ++i) {
    Cell& cell = board.cell({range, i});
    const bool in_doubt = cell.sequence % 2 == 1;
    const std::uint64_t stamp = looker.look({range, i});
    if (!in_doubt) continue;
    cell.now = stamp;
    ++cell.sequence;
  }
}

}  // namespace tensord::soak
