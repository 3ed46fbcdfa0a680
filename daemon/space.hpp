// Space: which segments the store has, and where the next tensor goes.
// Question it answers: where do these bytes fit, and if nowhere, what would have to happen first?
//
// Pure bookkeeping: it makes no system call and knows no descriptor. The caller makes and drops
// the segments, off its event loop, and reports back:
//
//   place() -> Placed          done
//           -> NeedsSegment    reserve_begin(plan); make the memfd elsewhere; then
//                              add_segment(id, plan), or reserve_cancel(plan) if that failed;
//                              then place() again, for those who wait in the order they came
//           -> AwaitsSegment   such a segment is on its way: place() again after it came, or failed
//           -> NeedsDrop       close these segments and drop() each; then place() again
//           -> OutOfSpace      the answer to the client, with its figures
//
//   A segment belongs to one pool, that is to one namespace and one kind: whoever may write one
//   of its tensors could scribble over all of them, so they must have the same writers.
//
// Limit    What exists and what is being made never exceeds limit_bytes together; reserve_begin()
//          counts at once, so two segments under way cannot both take the last gigabyte.
// Trust    size_bytes in place() may be anything a client sent; no size can overflow. Extents and
//          segment ids are the caller's own, and wrong ones are bugs that assert.
// Threads  one.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include <tensord/view.hpp>

#include "extent_map.hpp"

namespace tensord::daemon {

// Every tensor starts on a cache line, so that no two tensors share one and vector loads are
// aligned. From a page up it starts on a page, so that it can be mapped by itself: torch() maps
// the pages of one sealed tensor privately.
inline constexpr std::uint64_t kCacheLineBytes = 64;
inline constexpr std::uint64_t kPageBytes = 4096;

// A pool starts small, because most namespaces stay small, and doubles, because every segment
// costs each client a descriptor, a mapping and a round trip. Above 1 GiB a larger segment saves
// nothing any more, and a single tensor left in it would keep more memory from being given back.
inline constexpr std::uint64_t kFirstSegmentBytes = std::uint64_t{16} << 20;
inline constexpr std::uint64_t kMaxSharedSegmentBytes = std::uint64_t{1} << 30;
// A shared segment is at most this part of the limit: in a small store, the first namespace must
// not take everything with its first tensor.
inline constexpr std::uint64_t kMaxSharedPartOfLimit = 8;
// And at most this part of the room that is left, but not less than kMinSharedSegmentBytes if there is
// that much. So the fuller a store, the smaller the tensors that get a segment of their own, which can
// be dropped for any other one; see docs/decisions/crowded-stores.md, which has the figures.
inline constexpr std::uint64_t kMaxSharedPartOfRoom = 24;
inline constexpr std::uint64_t kMinSharedSegmentBytes = std::uint64_t{4} << 20;

using SegmentId = std::uint64_t;  // given by the caller, never used twice

struct Pool {
  std::uint32_t namespace_id = 0;
  Kind kind = Kind::kSealed;
  friend auto operator<=>(const Pool&, const Pool&) = default;
};

// What a tensor occupies: its bytes, the prefix before them, the rest of its last cache line.
struct Extent {
  SegmentId segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

struct SegmentPlan {
  Pool pool;
  std::uint64_t size_bytes = 0;
  bool shared = true;  // for many tensors; otherwise made to measure for a large one
  friend bool operator==(const SegmentPlan&, const SegmentPlan&) = default;
};

struct Placed {
  Extent extent;                   // for free(), later
  std::uint64_t offset_bytes = 0;  // of the first element, from the start of the segment
};
struct NeedsSegment {
  SegmentPlan plan;
};
struct AwaitsSegment {};
struct NeedsDrop {
  std::vector<SegmentId> segments;  // empty ones, kept warm until now
};
struct OutOfSpace {
  std::uint64_t asked_bytes = 0;         // as the client said it
  std::uint64_t free_bytes = 0;          // of the limit, not in any tensor; of other pools, too
  std::uint64_t largest_free_bytes = 0;  // the largest range this pool could have
  std::uint64_t limit_bytes = 0;
};
using Placement = std::variant<Placed, NeedsSegment, AwaitsSegment, NeedsDrop, OutOfSpace>;

struct SpaceFigures {
  std::uint64_t limit_bytes = 0;
  std::uint64_t reserved_bytes = 0;      // in segments that exist
  std::uint64_t pending_bytes = 0;       // in segments under way
  std::uint64_t used_bytes = 0;          // in tensors
  std::uint64_t free_bytes = 0;          // limit less used
  std::uint64_t largest_free_bytes = 0;  // the largest free range of any pool, or new segment
  std::uint64_t warm_bytes = 0;          // in empty segments
  std::uint64_t segments = 0;
};

class Space {
 public:
  // Of empty segments, keep_warm_bytes are worth keeping: their pages are there already, and a
  // copy into cold pages is some ten times slower.
  Space(std::uint64_t limit_bytes, std::uint64_t keep_warm_bytes,
        std::uint64_t first_segment_bytes = kFirstSegmentBytes);

  // What a new segment may have at most, besides what the limit says: the machine has no more.
  static constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();

  // Finds size_bytes for a tensor, with prefix_bytes directly before its first element.
  // Takes the bytes if the outcome is Placed, and changes nothing otherwise.
  // REQUIRES: prefix_bytes is 0 or kCacheLineBytes.
  [[nodiscard]] Placement place(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes,
                                std::uint64_t machine_bytes = kNoBound);

  // Whether the memory of such a segment is used again once the tensor that it is made for is gone.
  [[nodiscard]] bool is_worth_keeping(const SegmentPlan& plan) const {
    return plan.shared || plan.size_bytes <= keep_warm_bytes_;
  }

  // Gives an extent back; whether its segment is empty now. Then surplus() may have something.
  // REQUIRES: an extent from Placed, not yet freed.
  bool free(const Extent& extent);

  // REQUIRES: the plan of the last NeedsSegment, before anything else happens to this Space.
  void reserve_begin(const SegmentPlan& plan);
  // End what reserve_begin() began. REQUIRES: a plan that began; for add_segment, a fresh id.
  void reserve_cancel(const SegmentPlan& plan);
  void add_segment(SegmentId id, const SegmentPlan& plan);

  // For recovery: a segment that exists already, be it beyond the limit; and an extent of it that is in use.
  // REQUIRES: a fresh id; a size of whole pages. False: there is no such range, or it is taken.
  void restore_segment(SegmentId id, const SegmentPlan& plan);
  [[nodiscard]] bool occupy(const Extent& extent);

  // Empty segments beyond keep_warm_bytes: the caller closes them and drop()s each.
  [[nodiscard]] std::vector<SegmentId> surplus() const;
  // All empty segments, the largest first and of one size the longest empty first.
  [[nodiscard]] std::vector<SegmentId> droppable() const;
  // REQUIRES: the segment exists and is empty.
  void drop(SegmentId id);

  [[nodiscard]] SpaceFigures figures() const;

 private:
  struct Segment {
    Pool pool;
    bool shared;
    ExtentMap extents;
    std::uint64_t empty_since = 0;  // a tick of empty_ticks_, while empty
  };
  // By (largest free extent, id): where to look, without looking at full ones.
  using ByLargestFree = std::map<std::pair<std::uint64_t, SegmentId>, const Segment*>;
  struct PoolState {
    ByLargestFree shared;
    ByLargestFree made_to_measure;
    [[nodiscard]] ByLargestFree& of_sort(bool is_shared) { return is_shared ? shared : made_to_measure; }
    [[nodiscard]] std::uint64_t largest_free_bytes() const;
    [[nodiscard]] bool is_unused() const { return shared.empty() && made_to_measure.empty() && pending == 0; }
    std::multiset<std::uint64_t> pending_shared;  // sizes
    std::uint64_t pending = 0;                    // how many, of either sort
    std::uint64_t next_shared_bytes = 0;          // but first_segment_bytes_ at least
  };
  // What a tensor needs, of an existing segment and of one made for it.
  struct Need {
    std::uint64_t extent_bytes;
    std::uint64_t own_segment_bytes;
    std::uint64_t alignment;
    std::uint64_t prefix_bytes;
  };

  // Which segments of the pool a tensor may be placed in.
  enum class Where { kWellFitting, kAnywhere };
  [[nodiscard]] bool place_in_pool(const PoolState& pool, const Need& need, Where where, Placed& placed);
  [[nodiscard]] std::uint64_t shared_segment_bytes(Pool pool) const;
  [[nodiscard]] std::uint64_t room_bytes() const;
  [[nodiscard]] std::uint64_t free_bytes() const;
  [[nodiscard]] std::vector<SegmentId> choose_empty(std::uint64_t bytes) const;
  [[nodiscard]] OutOfSpace out_of_space(Pool pool, std::uint64_t asked_bytes,
                                        std::uint64_t machine_bytes) const;
  void end_pending(const SegmentPlan& plan);
  void forget_if_unused(Pool pool);
  // Changes a segment's extents and keeps the indexes over them true.
  template <class Change>
  void change(SegmentId id, Segment& segment, Change&& change_extents);
  void enter_empty(SegmentId id, Segment& segment);

  std::uint64_t limit_bytes_;
  std::uint64_t keep_warm_bytes_;
  std::uint64_t first_segment_bytes_;
  std::uint64_t reserved_bytes_ = 0;
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t warm_bytes_ = 0;
  std::uint64_t empty_ticks_ = 0;
  std::map<SegmentId, Segment> segments_;
  std::map<Pool, PoolState> pools_;
  // (size, empty since, id): of one size, the longest empty comes first.
  struct Empty {
    std::uint64_t size_bytes;
    std::uint64_t since;
    SegmentId id;
    friend auto operator<=>(const Empty&, const Empty&) = default;
  };
  std::set<Empty> empty_;
};

}  // namespace tensord::daemon
