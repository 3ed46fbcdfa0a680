#include <utility>

#include "ledgers.hpp"

#include <chrono>

#include "os/bell.hpp"
#include "shm/ledger.hpp"

namespace tensord::daemon {
namespace {

namespace bip = boost::interprocess;

constexpr std::chrono::milliseconds kPause{1};

}  // namespace

Ledgers::Fresh Ledgers::take() {
  if (!ready_) ready_ = make();
  Fresh fresh = std::move(*ready_);
  ready_.reset();
  later_.expires_after(kPause);
  later_.async_wait([this](const boost::system::error_code& error) {
    if (!error) make_ready();
  });
  return fresh;
}

Ledgers::Fresh Ledgers::make() const {
  os::Memfd memfd = os::Memfd::create("tensord-ledger", shm::ledger_size_bytes(slot_count_));
  bip::mapped_region region(memfd, bip::read_write);
  memfd.seal_size();
  Fresh fresh{std::move(memfd), os::make_bell(), std::move(region)};
  // For nobody yet, but its first page is there now.
  shm::format_ledger(fresh.bytes(), slot_count_);
  return fresh;
}

void Ledgers::make_ready() noexcept {
  if (ready_) return;
  try {
    ready_ = make();
  } catch (...) {
    // No descriptors just now. Whoever connects next is told, if it is still so.
  }
}

}  // namespace tensord::daemon
