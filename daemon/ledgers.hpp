// Ledgers: where the ledger of the next connection comes from, and its bell. One is kept ready, with its
// pages, so that whoever connects waits for a message each way and not for the making of a file.
//
// Threads  one, that of the io_context.
// Fails    take() with std::system_error or boost::interprocess::interprocess_exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <boost/asio.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include "os/memfd.hpp"
#include "os/unique_fd.hpp"

namespace tensord::daemon {

class Ledgers {
 public:
  struct Fresh {
    os::Memfd memfd;
    os::UniqueFd bell;
    boost::interprocess::mapped_region region;

    [[nodiscard]] std::span<std::byte> bytes() const {
      return {static_cast<std::byte*>(region.get_address()), region.get_size()};
    }
  };
  Ledgers(boost::asio::io_context& loop, std::uint32_t slot_count) : slot_count_(slot_count), later_(loop) {}

  // A ledger that nobody had before, and that is yet to be formatted for its connection. The next one is made
  // a moment later, when whoever connects has attached to what he came for.
  [[nodiscard]] Fresh take();

 private:
  [[nodiscard]] Fresh make() const;
  void make_ready() noexcept;

  const std::uint32_t slot_count_;
  std::optional<Fresh> ready_;
  boost::asio::steady_timer later_;
};

}  // namespace tensord::daemon
