// Reckoning: at the end, when all workers are gone. What must be there is there, with the right bytes, and
// all else is gone; the store's figures are those of what is there, and the kernel's are, too. Then all of it
// is deleted, and nothing is left.
#pragma once

#include <optional>
#include <string>

#include "kernel_figures.hpp"
#include "scoreboard.hpp"

namespace tensord::soak {

// As it is with one connection and no tensor. Nothing if the kernel does not tell.
[[nodiscard]] std::optional<KernelFigures> figures_at_rest(const std::string& socket);

struct Reckoning {
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  // that they occupy
  std::optional<KernelFigures> with_tensors{};
  std::optional<KernelFigures> empty{};
};
// Says to the board what is wrong.
Reckoning reckon(const Scoreboard& board, const std::string& socket, std::uint64_t keep_warm_bytes,
                 const std::optional<KernelFigures>& at_rest);

}  // namespace tensord::soak
