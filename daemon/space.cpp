// Best fit over all segments of a pool. What that avoids is the failure that grows with the fill:
// a large tensor finds no room because small ones were strewn over the large holes. So the
// smallest hole of the whole pool is used first, wherever it is, and of equal ones the one in the
// oldest segment, at the lowest address: young segments empty out, and can be given back whole.
//
// A segment that was made to measure is for its large tensor and those that need nearly as much: small
// ones in what is left over would keep it from being dropped, and what can be dropped is the one kind
// of free memory that suits every tensor of every pool. They go there only before they are refused.
//
// Only place() sees sizes that a client chose. They are turned into a Need by arithmetic that
// checks for overflow, and a Need is at most 2^62 in every part; the sums after that are of the
// caller's own segments, which the limit bounds.
#include "space.hpp"

#include <algorithm>
#include <cassert>
#include <optional>

namespace tensord::daemon {
namespace {

// No machine has this much; whoever asks for more gets OutOfSpace before any arithmetic.
constexpr std::uint64_t kMaxTensorBytes = std::uint64_t{1} << 61;

// Whether a tensor leaves less than a quarter of a segment to nobody.
constexpr bool fits_well(std::uint64_t need_bytes, std::uint64_t segment_bytes) {
  return need_bytes >= segment_bytes / 4 * 3;
}

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}
constexpr std::uint64_t round_down(std::uint64_t bytes, std::uint64_t unit) { return bytes / unit * unit; }

}  // namespace

Space::Space(std::uint64_t limit_bytes, std::uint64_t keep_warm_bytes, std::uint64_t first_segment_bytes)
    // Rounded down, so that sums of whole pages meet the limit exactly, and bounded like a segment.
    : limit_bytes_(round_down(std::min(limit_bytes, 2 * kMaxTensorBytes), kPageBytes)),
      keep_warm_bytes_(keep_warm_bytes),
      first_segment_bytes_(first_segment_bytes) {}

Placement Space::place(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes,
                       std::uint64_t machine_bytes) {
  assert(prefix_bytes == 0 || prefix_bytes == kCacheLineBytes);
  if (size_bytes > std::min(limit_bytes_, kMaxTensorBytes)) {
    return out_of_space(pool, size_bytes, machine_bytes);
  }

  // A tensor without bytes takes a cache line all the same: it has an address of its own.
  const std::uint64_t body_bytes = round_up(std::max<std::uint64_t>(size_bytes, 1), kCacheLineBytes);
  const std::uint64_t alignment = size_bytes >= kPageBytes ? kPageBytes : kCacheLineBytes;
  const Need need{
      .extent_bytes = prefix_bytes + body_bytes,
      .own_segment_bytes = round_up(round_up(prefix_bytes, alignment) + body_bytes, kPageBytes),
      .alignment = alignment,
      .prefix_bytes = prefix_bytes,
  };

  const auto known = pools_.find(pool);
  if (known != pools_.end()) {
    if (Placed placed; place_in_pool(known->second, need, Where::kWellFitting, placed)) return placed;
  }

  const std::uint64_t shared_bytes = shared_segment_bytes(pool);
  const bool shared = need.own_segment_bytes <= shared_bytes / 2;
  if (shared && known != pools_.end()) {
    const auto& pending = known->second.pending_shared;
    if (pending.lower_bound(need.own_segment_bytes) != pending.end()) return AwaitsSegment{};
  }

  const std::uint64_t room = std::min(room_bytes(), machine_bytes);
  if (need.own_segment_bytes <= room) {
    std::uint64_t new_bytes = shared ? shared_bytes : need.own_segment_bytes;
    // Near the limit a smaller segment is better than none. Halves rather than the exact rest, so
    // that one pool does not take all of it, and rather than the exact need, so that the end of
    // the store is not cut into crumbs.
    while (new_bytes > room) new_bytes = round_down(new_bytes / 2, kPageBytes);
    return NeedsSegment{{pool, std::max(new_bytes, need.own_segment_bytes), shared}};
  }

  const std::uint64_t missing = need.own_segment_bytes - room;
  if (missing <= warm_bytes_) return NeedsDrop{choose_empty(missing)};
  if (known != pools_.end()) {
    if (Placed placed; place_in_pool(known->second, need, Where::kAnywhere, placed)) return placed;
  }
  return out_of_space(pool, size_bytes, machine_bytes);
}

bool Space::place_in_pool(const PoolState& pool, const Need& need, Where where, Placed& placed) {
  std::optional<ExtentMap::Fit> best;
  SegmentId best_id = 0;
  const auto look = [&](SegmentId id, const Segment& segment) {
    const auto fit = segment.extents.find(need.extent_bytes, need.alignment, need.prefix_bytes);
    if (!fit) return;
    if (!best || fit->hole_bytes < best->hole_bytes ||
        (fit->hole_bytes == best->hole_bytes && id < best_id)) {
      best = fit;
      best_id = id;
    }
  };
  const auto first_large_enough = [&](const ByLargestFree& segments) {
    return segments.lower_bound({need.extent_bytes, 0});
  };
  for (auto at = first_large_enough(pool.shared); at != pool.shared.end(); ++at) {
    look(at->first.second, *at->second);
  }
  for (auto at = first_large_enough(pool.made_to_measure); at != pool.made_to_measure.end(); ++at) {
    const auto& [largest_free_bytes, id] = at->first;
    if (where == Where::kWellFitting) {
      if (!fits_well(need.own_segment_bytes, largest_free_bytes)) break;  // nor those after it
      if (!fits_well(need.own_segment_bytes, at->second->extents.size_bytes())) continue;
    }
    look(id, *at->second);
  }
  if (!best) return false;
  change(best_id, segments_.at(best_id),
         [&](ExtentMap& extents) { extents.take(best->offset, need.extent_bytes); });
  used_bytes_ += need.extent_bytes;
  placed = {{best_id, best->offset, need.extent_bytes}, best->offset + need.prefix_bytes};
  return true;
}

bool Space::occupy(const Extent& extent) {
  const auto found = segments_.find(extent.segment);
  if (found == segments_.end() || !found->second.extents.is_free(extent.offset, extent.size_bytes)) {
    return false;
  }
  change(extent.segment, found->second,
         [&](ExtentMap& extents) { extents.take(extent.offset, extent.size_bytes); });
  used_bytes_ += extent.size_bytes;
  return true;
}

bool Space::free(const Extent& extent) {
  const auto found = segments_.find(extent.segment);
  assert(found != segments_.end() && "freeing in a segment that does not exist");
  Segment& segment = found->second;
  change(extent.segment, segment,
         [&](ExtentMap& extents) { extents.free(extent.offset, extent.size_bytes); });
  used_bytes_ -= extent.size_bytes;
  return segment.extents.empty();
}

void Space::reserve_begin(const SegmentPlan& plan) {
  assert(plan.size_bytes > 0 && plan.size_bytes <= room_bytes() &&
         "a plan that place() did not make just now");
  PoolState& pool = pools_[plan.pool];
  pending_bytes_ += plan.size_bytes;
  ++pool.pending;
  if (plan.shared) pool.pending_shared.insert(plan.size_bytes);
}

void Space::end_pending(const SegmentPlan& plan) {
  const auto pool = pools_.find(plan.pool);
  assert(pool != pools_.end() && pool->second.pending > 0 && pending_bytes_ >= plan.size_bytes &&
         "ending a reservation that did not begin");
  pending_bytes_ -= plan.size_bytes;
  --pool->second.pending;
  if (plan.shared) {
    const auto size = pool->second.pending_shared.find(plan.size_bytes);
    assert(size != pool->second.pending_shared.end() && "ending a reservation that did not begin");
    pool->second.pending_shared.erase(size);
  }
}

void Space::reserve_cancel(const SegmentPlan& plan) {
  end_pending(plan);
  forget_if_unused(plan.pool);
}

void Space::add_segment(SegmentId id, const SegmentPlan& plan) {
  end_pending(plan);
  restore_segment(id, plan);
}

void Space::restore_segment(SegmentId id, const SegmentPlan& plan) {
  const auto [at, fresh] =
      segments_.try_emplace(id, Segment{plan.pool, plan.shared, ExtentMap(plan.size_bytes)});
  assert(fresh && "a segment id is never used twice");
  (void)fresh;
  reserved_bytes_ += plan.size_bytes;
  PoolState& pool = pools_[plan.pool];
  pool.of_sort(plan.shared).insert({{plan.size_bytes, id}, &at->second});
  if (plan.shared) pool.next_shared_bytes = std::max(pool.next_shared_bytes, 2 * plan.size_bytes);
  enter_empty(id, at->second);
}

std::vector<SegmentId> Space::surplus() const {
  return warm_bytes_ > keep_warm_bytes_ ? choose_empty(warm_bytes_ - keep_warm_bytes_)
                                        : std::vector<SegmentId>{};
}

std::vector<SegmentId> Space::droppable() const {
  std::vector<Empty> order(empty_.begin(), empty_.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const Empty& a, const Empty& b) { return a.size_bytes > b.size_bytes; });
  std::vector<SegmentId> ids;
  ids.reserve(order.size());
  for (const Empty& empty : order) ids.push_back(empty.id);
  return ids;
}

// Empty segments of at least this many bytes in all: one that suffices, and as small as possible,
// since the rest stays warm; if there is none, as few as possible.
std::vector<SegmentId> Space::choose_empty(std::uint64_t bytes) const {
  if (const auto one = empty_.lower_bound({bytes, 0, 0}); one != empty_.end()) return {one->id};
  std::vector<SegmentId> chosen;
  std::uint64_t sum = 0;
  for (const SegmentId id : droppable()) {
    if (sum >= bytes) break;
    sum += segments_.at(id).extents.size_bytes();
    chosen.push_back(id);
  }
  return chosen;
}

void Space::drop(SegmentId id) {
  const auto found = segments_.find(id);
  assert(found != segments_.end() && found->second.extents.empty() &&
         "dropping a segment that holds tensors");
  const Pool pool = found->second.pool;
  const std::uint64_t size_bytes = found->second.extents.size_bytes();
  empty_.erase({size_bytes, found->second.empty_since, id});
  pools_.at(pool).of_sort(found->second.shared).erase({size_bytes, id});
  segments_.erase(found);
  warm_bytes_ -= size_bytes;
  reserved_bytes_ -= size_bytes;
  forget_if_unused(pool);
}

SpaceFigures Space::figures() const {
  std::uint64_t largest = room_bytes();
  for (const auto& [pool, state] : pools_) {
    largest = std::max(largest, state.largest_free_bytes());
  }
  return {.limit_bytes = limit_bytes_,
          .reserved_bytes = reserved_bytes_,
          .pending_bytes = pending_bytes_,
          .used_bytes = used_bytes_,
          .free_bytes = free_bytes(),
          .largest_free_bytes = largest,
          .warm_bytes = warm_bytes_,
          .segments = segments_.size()};
}

OutOfSpace Space::out_of_space(Pool pool, std::uint64_t asked_bytes, std::uint64_t machine_bytes) const {
  const std::uint64_t room = std::min(room_bytes(), machine_bytes);
  std::uint64_t largest = room + warm_bytes_;
  if (const auto known = pools_.find(pool); known != pools_.end()) {
    largest = std::max(largest, known->second.largest_free_bytes());
  }
  // Segments under way count: they are somebody's who is to have them, but free they are.
  const std::uint64_t all_bytes = reserved_bytes_ + pending_bytes_ + room;
  return {asked_bytes, all_bytes - used_bytes_, largest, limit_bytes_};
}

std::uint64_t Space::shared_segment_bytes(Pool pool) const {
  const auto known = pools_.find(pool);
  const std::uint64_t next =
      std::max(first_segment_bytes_, known == pools_.end() ? 0 : known->second.next_shared_bytes);
  const std::uint64_t of_limit = round_down(limit_bytes_ / kMaxSharedPartOfLimit, kPageBytes);
  const std::uint64_t of_room = round_down(room_bytes() / kMaxSharedPartOfRoom, kPageBytes);
  return std::min({next, kMaxSharedSegmentBytes, of_limit, std::max(of_room, kMinSharedSegmentBytes)});
}

std::uint64_t Space::PoolState::largest_free_bytes() const {
  std::uint64_t largest = 0;
  for (const ByLargestFree* segments : {&shared, &made_to_measure}) {
    if (!segments->empty()) largest = std::max(largest, segments->rbegin()->first.first);
  }
  return largest;
}

// None, if the limit is lower now than it was for the daemon whose segments these are.
std::uint64_t Space::room_bytes() const {
  const std::uint64_t taken_bytes = reserved_bytes_ + pending_bytes_;
  return taken_bytes < limit_bytes_ ? limit_bytes_ - taken_bytes : 0;
}

std::uint64_t Space::free_bytes() const {
  return used_bytes_ < limit_bytes_ ? limit_bytes_ - used_bytes_ : 0;
}

// A pool without segments starts over, small; and namespaces that come and go leave nothing here.
void Space::forget_if_unused(Pool pool) {
  const auto known = pools_.find(pool);
  if (known->second.is_unused()) pools_.erase(known);
}

template <class Change>
void Space::change(SegmentId id, Segment& segment, Change&& change_extents) {
  ExtentMap& extents = segment.extents;
  ByLargestFree& by_largest_free = pools_.at(segment.pool).of_sort(segment.shared);
  if (extents.empty()) {
    empty_.erase({extents.size_bytes(), segment.empty_since, id});
    warm_bytes_ -= extents.size_bytes();
  }
  const std::uint64_t largest_before = extents.largest_free_bytes();
  change_extents(extents);
  if (const std::uint64_t largest = extents.largest_free_bytes(); largest != largest_before) {
    auto entry = by_largest_free.extract({largest_before, id});  // moved, not made anew: this is each put's
    entry.key().first = largest;
    by_largest_free.insert(std::move(entry));
  }
  if (extents.empty()) enter_empty(id, segment);
}

void Space::enter_empty(SegmentId id, Segment& segment) {
  segment.empty_since = ++empty_ticks_;
  empty_.insert({segment.extents.size_bytes(), segment.empty_since, id});
  warm_bytes_ += segment.extents.size_bytes();
}

}  // namespace tensord::daemon
