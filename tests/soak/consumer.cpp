// A consumer looks at everything, keeps views of some of it, waits for what is not there, and writes live
// tensors of others.
#include <chrono>

#include "live_work.hpp"
#include "looking.hpp"
#include "roles.hpp"
#include "sight.hpp"

namespace tensord::soak {
namespace {

Place any_place(Random& random) {
  return {static_cast<unsigned>(random.below(kRanges)), static_cast<unsigned>(random.below(kCells))};
}

// One of them often, so that they meet.
Place any_live_place(Random& random) {
  if (random.one_in(2)) return {0, kSealedCells};
  return {static_cast<unsigned>(random.below(kRanges)),
          kSealedCells + static_cast<unsigned>(random.below(kLiveCells))};
}

void wait_for_name(Actor& actor, const Place& place) {
  actor.begin(Count::kWaitName);
  const std::string name = names_of(place)[0];
  const Sight sight(actor.board().cell(place));
  try {
    const View view = actor.store.wait(name, std::chrono::milliseconds(1 + actor.random.below(200)));
    if (const auto stamp = check(actor, view, name)) {
      if (const auto why = sight.contradicts(*stamp))
        actor.board().fault("waited for " + name + ": " + *why, 1);
    }
    actor.count(Count::kWaitName);
  } catch (const TimeoutError&) {
    if (sight.steady().value_or(0) != 0) {
      actor.board().fault("waited in vain for " + name + ", which was there all the time", 1);
    }
    actor.count(Count::kTimeout);
  }
}

// What the daemon tells about a tensor, which may go while it is asked.
void ask(Actor& actor, const Place& place) {
  actor.begin(Count::kAsk);
  const std::string name = names_of(place)[0];
  try {
    if (actor.random.one_in(2)) {
      static_cast<void>(actor.store.info(name));
    } else if (actor.random.one_in(2)) {
      static_cast<void>(actor.store.holders(name));
    } else {
      static_cast<void>(actor.store.stats());
    }
    actor.count(Count::kAsk);
  } catch (const NotFoundError&) {
    actor.count(Count::kNotFound);
  }
}

}  // namespace

void consume(const Task& task) {
  Actor actor(task);
  Looker looker(actor);
  LiveWork live(actor);
  while (!actor.stopped()) {
    const Place place = any_place(actor.random);
    switch (actor.random.below(16)) {
      case 0: live.write(any_live_place(actor.random)); break;
      case 1: live.read(any_live_place(actor.random)); break;
      case 2: live.wait(any_live_place(actor.random)); break;
      case 3: wait_for_name(actor, place); break;
      case 4: looker.look_at_bound(place.range); break;
      case 5:
        if (actor.random.one_in(4)) looker.list(place.range);
        break;
      case 6: ask(actor, place); break;
      case 7:
        if (actor.random.one_in(8)) looker.drop_some();
        break;
      case 8:
        if (actor.random.one_in(8)) actor.connect_again();  // its views stay
        break;
      case 9:
      case 10: looker.look_again(); break;
      default: looker.look(place); break;
    }
    actor.pause();
  }
}

}  // namespace tensord::soak
