// ShownWait: what a thread sleeps for, shown to others in its connection's ledger (shm/ledger.hpp) for as
// long as this lives. Only from the first sleep on: most waits end while they spin, and cost nothing here.
// Threads  one, the one that waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/ledger.hpp"

namespace tensord::client {

class ShownWait {
 public:
  ShownWait() = default;
  ~ShownWait() {
    if (cell_) hide();
  }
  ShownWait(const ShownWait&) = delete;
  ShownWait& operator=(const ShownWait&) = delete;

  // Does nothing if it is shown already, or if the ledger is shared with another process since a fork: what
  // stands there goes with the last of the two, and names the one that connected. REQUIRES: the ledger
  // outlives this, or hide() comes first.
  void show_name(const shm::Ledger& ledger, std::string_view name) { show(ledger, shm::Wait::kNoSlot, name); }
  void show_slot(const shm::Ledger& ledger, std::uint32_t slot) { show(ledger, slot, {}); }
  void hide();

 private:
  void show(const shm::Ledger& ledger, std::uint32_t slot, std::string_view name);

  std::optional<shm::Ledger> ledger_;  // none: nothing was tried
  std::optional<std::uint32_t> cell_;  // none: there was no room
  std::uint64_t since_unix_ns_ = 0;    // kept when a wait goes on with another ledger
};

}  // namespace tensord::client
