// Reckoning: at the end, when all workers are gone. What must be there is there, with the right bytes, and
// all else is gone; the store's figures are those of what is there, and the kernel's are, too. Then all of it
// is deleted, and nothing is left.
#pragma once

#include <optional>
#include <string>

#include "kept_store.hpp"
#include "kernel_figures.hpp"
#include "scoreboard.hpp"

namespace tensord::soak {

// The daemon's, and its keeper's, who has a second descriptor of whatever must outlast a daemon.
struct StoreFigures {
  KernelFigures daemon;
  KernelFigures keeper;
};
// As they are with one connection and no tensor. Nothing if the kernel does not tell.
[[nodiscard]] std::optional<StoreFigures> figures_at_rest(const test::KeptStore& kept);

struct Reckoning {
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  // that they occupy
  std::optional<StoreFigures> with_tensors{};
  std::optional<StoreFigures> empty{};
};
// Says to the board what is wrong.
Reckoning reckon(const Scoreboard& board, const test::KeptStore& kept, std::uint64_t keep_warm_bytes,
                 const std::optional<StoreFigures>& at_rest);

}  // namespace tensord::soak
