#include "catch.hpp"

#include <filesystem>
#include <iterator>

#include "ledgers.hpp"
#include "shm/ledger.hpp"

using namespace tensord;
using tensord::daemon::Ledgers;

namespace {

constexpr std::uint32_t kSlots = 5000;

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

}  // namespace

TEST_CASE("every connection gets a ledger of its own, sealed and without pins", "[ledgers]") {
  boost::asio::io_context loop{1};
  Ledgers ledgers(loop, kSlots);
  Ledgers::Fresh first = ledgers.take();
  shm::format_ledger(first.bytes(), kSlots, 7);
  shm::Ledger::open(first.bytes(), kSlots)->pin(3);
  loop.run();  // makes the next one ready
  loop.restart();
  for (std::uint32_t connection = 8; connection < 11; ++connection) {
    Ledgers::Fresh other = ledgers.take();
    shm::format_ledger(other.bytes(), kSlots, connection);
    CHECK(other.memfd.inode() != first.memfd.inode());
    CHECK(shm::Ledger::open(other.bytes(), kSlots)->connection() == connection);
    CHECK_FALSE(shm::LedgerScanner(other.bytes(), kSlots).pins(3));
    CHECK_NOTHROW(os::Memfd::adopt_sealed(other.memfd.duplicate()));
  }
}

TEST_CASE("one ledger is kept ready, however many were taken", "[ledgers]") {
  boost::asio::io_context loop{1};
  Ledgers ledgers(loop, kSlots);
  const std::ptrdiff_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) static_cast<void>(ledgers.take());
  CHECK(open_descriptors() == before);  // not yet: whoever connects does not wait for it
  loop.run();
  CHECK(open_descriptors() == before + 2);  // it and its bell
}
