// The report: what was done, whom it killed, and what is wrong, in figures.
#pragma once

#include "options.hpp"
#include "reckoning.hpp"
#include "scoreboard.hpp"
#include "workers.hpp"

namespace tensord::soak {

void print_report(const Scoreboard& board, const Options& options, const Workers::Kills& kills,
                  const Reckoning& reckoning);

}  // namespace tensord::soak
