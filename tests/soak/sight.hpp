// Sight: what a look at the store must find, by what is known of the name before and after it.
//
//   const Sight sight(cell);
//   ... attach, list ...
//   if (auto why = sight.contradicts(stamp of what was seen, 0 for nothing)) ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "scoreboard.hpp"

namespace tensord::soak {

class Sight {
 public:
  explicit Sight(const Cell& cell) : cell_(cell), before_(read()) {}

  // Why that cannot have been seen, if it cannot.
  [[nodiscard]] std::optional<std::string> contradicts(std::uint64_t stamp) const;
  // The stamp that was there all the time; nothing if something happened meanwhile, or may have.
  [[nodiscard]] std::optional<std::uint64_t> steady() const;

 private:
  struct State {
    std::uint64_t sequence = 0, now = 0, next = 0;
    [[nodiscard]] bool is_quiet() const { return sequence % 2 == 0; }
    [[nodiscard]] bool allows(std::uint64_t stamp) const {
      return stamp == now || (!is_quiet() && stamp == next);
    }
    [[nodiscard]] std::string text() const;
  };
  [[nodiscard]] State read() const;

  const Cell& cell_;
  const State before_;
};

}  // namespace tensord::soak
