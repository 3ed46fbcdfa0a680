// A range of names as its next owner finds it: what its last one left in doubt is settled by a look.
#pragma once

#include <string>

#include "looking.hpp"

namespace tensord::soak {

// Waits until the daemon has noticed that this life of the range's producer is over: from then on nothing
// that it asked for can happen any more. Also, what was bound to it must be gone then.
void await_end_of(const Actor& actor, unsigned range, std::uint64_t life);

// Looks at every name of the range, and settles those that are in doubt. REQUIRES: nobody else owns it.
void settle(Looker& looker, const Scoreboard& board, unsigned range);

}  // namespace tensord::soak
