#include "client/shown_wait.hpp"

#include <chrono>
#include <string>

namespace tensord::client {

void ShownWait::show(const shm::Ledger& ledger, std::uint32_t slot, std::string_view name) {
  if (ledger_ || ledger.frozen()) return;
  if (since_unix_ns_ == 0) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    since_unix_ns_ = static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
  }
  ledger_ = ledger;
  cell_ = ledger_->show_wait({slot, since_unix_ns_, std::string(name)});
}

void ShownWait::hide() {
  if (cell_) ledger_->hide_wait(*cell_);
  ledger_.reset();
  cell_.reset();
}

}  // namespace tensord::client
