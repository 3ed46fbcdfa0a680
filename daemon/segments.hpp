// Segments: the memfds behind Space. It makes and drops them on a helper thread, because putting
// memory behind a gigabyte takes up to a second, and the event loop serves everybody. The helper works in
// slices, and in turns: a small segment does not wait for a large one of somebody else.
//
// Reserve::kAhead     a segment has memory behind every byte before anybody hears of it.
// Reserve::kOnDemand  a segment is address space; its memory comes with the tensors (backing.hpp) and
//                     goes with them, but for what is kept warm. docs/decisions/reserving-on-demand.md
//
// Threads  one, that of the io_context; the helper thread touches nothing but the memfds that it makes
//          and ends.
// Owns     every segment's read-write descriptor.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio.hpp>

#include "backing.hpp"
#include "book.hpp"
#include "huge_pages.hpp"
#include "indexes.hpp"
#include "os/memfd.hpp"
#include "protocol/segment_id.hpp"
#include "result.hpp"
#include "service_manager.hpp"
#include "space.hpp"
#include "system_memory.hpp"

namespace tensord::daemon {

class Segments {
 public:
  struct Listener {
    std::function<void(SegmentId, Pool)> added;
    std::function<void(SegmentId)> dropped;  // before it goes
  };
  struct Policy {
    HugePages huge_pages = HugePages::kAuto;
    Reserve reserve = Reserve::kAhead;
    std::uint64_t keep_warm_bytes = 0;  // of pieces that nobody needs, on demand; Space has its own
  };
  // REQUIRES: book and manager stay.
  Segments(boost::asio::io_context& loop, Space space, Policy policy, Book& book, ServiceManager& manager,
           Listener listener, SystemMemory memory = SystemMemory());

  // For recovery: those of the daemon before this one. One that the book does not know is given up. Then what
  // lies in them; and then, that this was all.
  void recover(std::map<SegmentId, os::Memfd> memfds);
  [[nodiscard]] bool occupy(const Extent& extent);
  void all_occupied();

  // Space for a tensor, with memory behind every byte. Fails with kOutOfSpace (asked, free, largest, limit).
  // Nothing: somebody has to make memory first; place() does, and waits for it.
  std::optional<Result<Placed>> place_now(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  // The same, and fails with kLimitReached (segments), too.
  boost::asio::awaitable<Result<Placed>> place(Pool pool, std::uint64_t size_bytes,
                                               std::uint64_t prefix_bytes);
  // The same, if it takes nothing but a range that is free and has memory.
  std::optional<Placed> place_if_free(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  void give_back(const Extent& extent);

  [[nodiscard]] bool asks_for_huge_pages() const { return asks_for_huge_pages_; }
  // Other work for the helper, to be done in a millisecond or so.
  void on_helper(std::function<void()> work) { boost::asio::post(helper_, std::move(work)); }

  // The memfd of a segment; null if there is none of this id (any value is allowed).
  [[nodiscard]] const os::Memfd* find(SegmentId id) const;
  // On demand, reserved_bytes are those with memory.
  [[nodiscard]] SpaceFigures figures() const;

 private:
  struct Held {
    std::shared_ptr<const os::Memfd> memfd;  // shared with the helper
    std::optional<Backing> backing;          // on demand
  };
  // Whatever Space has to say, but NeedsDrop, which is done; and what the machine has left, if that counted.
  struct Answer {
    Placement placement;
    std::optional<MemoryRoom> machine;
  };
  Answer ask_space(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes);
  // What the machine has for segments that nobody was promised yet.
  [[nodiscard]] MemoryRoom machine_room() const;
  boost::asio::awaitable<Result<Done>> make(SegmentPlan plan);
  [[nodiscard]] HugePageWish wish_for(const SegmentPlan& plan) const;
  [[nodiscard]] Failure out_of_memory(std::uint64_t asked_bytes, const std::string& reason) const;

  // On demand. Counts the extent as used; whether it has memory already.
  bool take(const Extent& extent);
  template <class Change>
  void change(Backing& backing, Change&& change_it);
  // REQUIRES: taken. Fails with kOutOfSpace; then some of it may have memory.
  boost::asio::awaitable<Result<Done>> put_memory_behind(Extent extent);
  void reclaim(SegmentId id, const std::vector<Range>& pieces);
  // All that is kept warm; whether there was any.
  bool reclaim_idle_pieces();

  // --huge-pages always: says that a range got fewer than it has room for, if so.
  bool warn_of_small_pages(std::uint64_t size_bytes, std::uint64_t huge_bytes) const;

  // These run on the helper.
  boost::asio::awaitable<Result<os::Memfd>> make_memfd(std::uint64_t size_bytes, HugePageWish wish);
  // Puts memory behind a range, in slices and in turns, and says how much it got.
  struct Reserved {
    std::uint64_t bytes = 0;  // from the start of the range on
    std::uint64_t huge_bytes = 0;
    std::string why_not_all;  // empty: it got all
  };
  class Promise;
  boost::asio::awaitable<Reserved> reserve(const os::Memfd& memfd, Range range, HugePageWish& wish,
                                           Promise* promise);
  boost::asio::awaitable<void> end_memfd(std::shared_ptr<const os::Memfd> memfd, std::uint64_t memory_bytes);
  void drop(const std::vector<SegmentId>& ids);
  void drop_surplus() { drop(space_.surplus()); }
  void end(SegmentId id, std::shared_ptr<const os::Memfd> memfd, std::uint64_t memory_bytes);
  // Enters it everywhere. Fails with kLimitReached: its descriptor cannot be kept.
  Result<Done> add(SegmentId id, os::Memfd memfd, const SegmentPlan& plan);
  void hold(SegmentId id, os::Memfd memfd);
  [[nodiscard]] std::optional<SegmentId> next_id();

  Space space_;
  const Policy policy_;
  const SystemMemory memory_;
  const bool asks_for_huge_pages_;
  Listener listener_;
  std::unordered_map<SegmentId, Held> held_;
  Book& book_;
  ServiceManager& manager_;
  Indexes indexes_;
  bool said_small_pages_ = false;                  // on demand, of the first piece that lies on them
  std::uint64_t idle_bytes_ = 0;                   // on demand: of pieces with memory that nobody needs
  std::atomic<std::uint64_t> ending_bytes_ = 0;    // memory that the helper has yet to give back
  std::atomic<std::uint64_t> promised_bytes_ = 0;  // and to put behind segments under way
  boost::asio::steady_timer made_;                 // never expires; cancelling it wakes who awaits a segment
  boost::asio::thread_pool helper_{1};             // last: it is joined before anything else goes
};

}  // namespace tensord::daemon
