// Segments: the memfds behind Space. It makes and drops them on a helper thread, because putting
// memory behind a gigabyte takes up to a second, and the event loop serves everybody. The helper works in
// slices, and in turns: a small segment does not wait for a large one of somebody else.
//
// Threads  one, that of the io_context; the helper thread touches nothing but the memfds that it makes
//          and ends.
// Owns     every segment's read-write descriptor.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio.hpp>

#include "huge_pages.hpp"
#include "os/memfd.hpp"
#include "protocol/segment_id.hpp"
#include "result.hpp"
#include "space.hpp"

namespace tensord::daemon {

class Segments {
 public:
  struct Listener {
    std::function<void(SegmentId, Pool)> added;
    std::function<void(SegmentId)> dropped;  // before it goes
  };
  Segments(boost::asio::io_context& loop, Space space, HugePages huge_pages, Listener listener);

  // Space for a tensor, in a segment that has memory behind every byte. Fails with kOutOfSpace (asked, free,
  // largest, limit). Nothing: no segment has it yet; place() makes one, and waits for it.
  std::optional<Result<Placed>> place_now(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  // The same, and fails with kLimitReached (segments), too.
  boost::asio::awaitable<Result<Placed>> place(Pool pool, std::uint64_t size_bytes,
                                               std::uint64_t prefix_bytes);
  // The same, if it takes nothing but a range that is free in a segment that exists.
  std::optional<Placed> place_if_free(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  void give_back(const Extent& extent);

  [[nodiscard]] bool asks_for_huge_pages() const { return asks_for_huge_pages_; }
  // Other work for the helper, to be done in a millisecond or so.
  void on_helper(std::function<void()> work) { boost::asio::post(helper_, std::move(work)); }

  // The memfd of a segment; null if there is none of this id (any value is allowed).
  [[nodiscard]] const os::Memfd* find(SegmentId id) const;
  [[nodiscard]] SpaceFigures figures() const { return space_.figures(); }

 private:
  // Whatever Space has to say, but NeedsDrop, which is done.
  Placement ask_space(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  boost::asio::awaitable<Result<Done>> make(SegmentPlan plan);
  [[nodiscard]] HugePageWish wish_for(const SegmentPlan& plan) const;
  // These two run on the helper.
  boost::asio::awaitable<Result<os::Memfd>> make_memfd(std::uint64_t size_bytes, HugePageWish wish);
  boost::asio::awaitable<void> end_memfd(os::Memfd memfd);
  void drop(const std::vector<SegmentId>& ids);
  [[nodiscard]] std::optional<SegmentId> next_id();

  Space space_;
  const HugePages huge_pages_;
  const bool asks_for_huge_pages_;
  Listener listener_;
  std::unordered_map<SegmentId, os::Memfd> memfds_;
  std::vector<std::uint32_t> free_indexes_;
  std::uint32_t untouched_indexes_ = 0;
  std::uint64_t last_serial_ = 0;
  std::atomic<unsigned> ending_ = 0;    // memfds whose memory the helper has yet to give back
  boost::asio::steady_timer made_;      // never expires; cancelling it wakes who awaits a segment
  boost::asio::thread_pool helper_{1};  // last: it is joined before anything else goes
};

}  // namespace tensord::daemon
