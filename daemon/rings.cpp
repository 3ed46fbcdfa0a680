#include <utility>

#include "rings.hpp"

#include <algorithm>

#include "os/cpu.hpp"

namespace tensord::daemon {
namespace {

using std::chrono::nanoseconds;

// About one wake-up of a sleeping thread (limits.md measured 28 to 45 us), and what costs nothing beside it.
constexpr nanoseconds kMostPatience = std::chrono::microseconds(50);
constexpr nanoseconds kLeastPatience = std::chrono::microseconds(3);
// Who rings so soon after his ring was left has, the wake-up aside, come within the most patience.
constexpr nanoseconds kRegret = 2 * kMostPatience;
// Looks at the rings before the sockets get their turn, which costs a system call.
constexpr int kLooksPerTurn = 32;
// The kernel wakes the daemon where the client is who rang, who is about to sleep; so the two may stay on one
// processor and take turns for ever. After so many requests in a row from there, each soon after the one
// before, it pays to move away and work beside the client instead.
constexpr int kRequestsBeforeMove = 8;
constexpr nanoseconds kSoon = std::chrono::microseconds(200);

}  // namespace

void Rings::rang(std::shared_ptr<RingUser> user) {
  if (std::ranges::find(watched_, user, &Watched::user) == watched_.end()) {
    const auto now = Clock::now();
    user->watch_ring();
    const auto [found, is_new] = learnt_.try_emplace(user.get(), Learnt{kMostPatience});
    Learnt& learnt = found->second;
    // Otherwise a put that copies for 20 us would be woken for every time, once patience is shorter than
    // that.
    if (!is_new && !user->is_beside_daemon() && now - learnt.left < kRegret) learnt.be_more_patient();
    watched_.push_back({std::move(user), &learnt, now});
  }
  if (turning_) return;
  turning_ = true;
  turn();
}

void Rings::forget(const RingUser* user) {
  std::erase_if(watched_, [&](const Watched& watched) { return watched.user.get() == user; });
  learnt_.erase(user);
}

void Rings::turn() {
  for (int look = 0; look < kLooksPerTurn; ++look) {
    if (serve_all()) break;
    os::relax();
  }
  leave_the_quiet_ones();
  turning_ = !watched_.empty();
  if (turning_) boost::asio::post(loop_, [this] { turn(); });
}

bool Rings::serve_all() {
  bool served = false;
  // By index: serving a ring may end its user, who then forgets itself.
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (!watched_[i].user->serve_ring()) continue;
    served = true;
    if (i >= watched_.size()) break;
    Watched& watched = watched_[i];
    watched.last_request = Clock::now();
    // The request that rang the bell tells nothing; those after it came in time.
    if (watched.served_before) watched.learnt->be_more_patient();
    watched.served_before = true;
    if (is_time_to_move(watched)) move_away_from(watched);
  }
  return served;
}

bool Rings::is_time_to_move(const Watched& served) {
  const bool soon = served.last_request - last_beside_ < kSoon;
  if (!served.user->is_beside_daemon()) {
    requests_beside_ = 0;
    return false;
  }
  last_beside_ = served.last_request;
  requests_beside_ = soon ? requests_beside_ + 1 : 1;
  if (requests_beside_ < kRequestsBeforeMove) return false;
  requests_beside_ = 0;
  return true;
}

void Rings::move_away_from(Watched& watched) {
  watched.user->say_moving();
  os::leave_cpu(os::this_cpu());
  watched.user->watch_ring();  // from there
  watched.learnt->patience = kMostPatience;
  watched.last_request = Clock::now();
}

void Rings::Learnt::be_more_patient() { patience = std::min(2 * patience, kMostPatience); }

void Rings::leave_the_quiet_ones() {
  const auto now = Clock::now();
  std::erase_if(watched_, [&](Watched& watched) {
    auto& [patience, left] = *watched.learnt;
    // Its client cannot post before it gets this processor.
    const bool in_its_way = watched.user->is_beside_daemon();
    if (!in_its_way && now - watched.last_request < patience) return false;
    if (watched.user->leave_ring()) {
      if (!in_its_way) patience = std::max(patience / 2, kLeastPatience);
      left = now;
      return true;
    }
    watched.last_request = now;
    return false;
  });
}

}  // namespace tensord::daemon
