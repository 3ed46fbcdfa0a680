#include "catch.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "space.hpp"

using namespace tensord::daemon;
using tensord::Kind;

namespace {

constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30; }

constexpr Pool kSealed{1, Kind::kSealed};
constexpr Pool kLive{1, Kind::kLive};
constexpr Pool kOtherNamespace{2, Kind::kSealed};

// A caller that makes every segment at once, as the daemon does in the end.
struct Caller {
  Space space;
  SegmentId last_id = 0;
  std::vector<SegmentPlan> made = {};
  std::vector<SegmentId> dropped = {};

  Placement place(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes = 0) {
    for (;;) {
      Placement outcome = space.place(pool, size_bytes, prefix_bytes);
      if (const auto* needed = std::get_if<NeedsSegment>(&outcome)) {
        space.reserve_begin(needed->plan);
        space.add_segment(++last_id, needed->plan);
        made.push_back(needed->plan);
      } else if (const auto* drop = std::get_if<NeedsDrop>(&outcome)) {
        REQUIRE_FALSE(drop->segments.empty());
        for (const SegmentId id : drop->segments) {
          space.drop(id);
          dropped.push_back(id);
        }
      } else {
        return outcome;
      }
    }
  }
  Placed placed(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes = 0) {
    const Placement outcome = place(pool, size_bytes, prefix_bytes);
    REQUIRE(std::holds_alternative<Placed>(outcome));
    return std::get<Placed>(outcome);
  }
};

template <class Outcome>
Outcome expect(const Placement& placement) {
  REQUIRE(std::holds_alternative<Outcome>(placement));
  return std::get<Outcome>(placement);
}

}  // namespace

TEST_CASE("the first tensor of a pool asks for a segment, and lies at its start", "[space]") {
  Space space(8_GiB, 1_GiB);
  const auto needed = expect<NeedsSegment>(space.place(kSealed, 100, 0));
  CHECK(needed.plan == SegmentPlan{kSealed, 16_MiB, true});
  CHECK(space.figures().pending_bytes == 0);  // asking alone takes nothing

  space.reserve_begin(needed.plan);
  CHECK(space.figures().pending_bytes == 16_MiB);
  CHECK(space.figures().reserved_bytes == 0);
  space.add_segment(7, needed.plan);
  CHECK(space.figures().pending_bytes == 0);
  CHECK(space.figures().reserved_bytes == 16_MiB);

  const auto placed = expect<Placed>(space.place(kSealed, 100, 0));
  CHECK(placed.extent == Extent{7, 0, 128});
  CHECK(placed.offset_bytes == 0);
  CHECK(space.figures().used_bytes == 128);
  CHECK(space.figures().free_bytes == 8_GiB - 128);
}

TEST_CASE("tensors start on a cache line, and from a page up on a page", "[space]") {
  Caller caller{Space(8_GiB, 0)};
  for (const std::uint64_t size_bytes : {1025ul, 4095ul, 4096ul, 1ul, 4097ul, 102400ul, 65ul}) {
    const Placed placed = caller.placed(kSealed, size_bytes);
    CHECK(placed.offset_bytes % (size_bytes >= 4096 ? 4096 : 64) == 0);
    CHECK(placed.extent.offset == placed.offset_bytes);
    CHECK(placed.extent.size_bytes == (size_bytes + 63) / 64 * 64);
  }
}

TEST_CASE("a tensor without bytes has an address of its own", "[space]") {
  Caller caller{Space(8_GiB, 0)};
  const Placed a = caller.placed(kSealed, 0);
  const Placed b = caller.placed(kSealed, 0);
  CHECK(a.extent.size_bytes == 64);
  CHECK(a.offset_bytes != b.offset_bytes);
  const Placed live = caller.placed(kLive, 0, 64);
  CHECK(live.extent.size_bytes == 128);
  CHECK(live.offset_bytes == live.extent.offset + 64);
}

TEST_CASE("a prefix lies directly before the first element, inside the extent", "[space]") {
  Caller caller{Space(8_GiB, 0)};
  for (const std::uint64_t size_bytes : {1ul, 64ul, 4096ul, 8192ul, 5000ul, 12ul << 20, 40ul << 20}) {
    const Placed placed = caller.placed(kLive, size_bytes, 64);
    CHECK(placed.offset_bytes == placed.extent.offset + 64);
    CHECK(placed.offset_bytes % (size_bytes >= 4096 ? 4096 : 64) == 0);
    CHECK(placed.extent.size_bytes == 64 + (size_bytes + 63) / 64 * 64);
  }
}

TEST_CASE("a segment never mixes namespaces, nor sealed with live tensors", "[space]") {
  Caller caller{Space(8_GiB, 0)};
  const SegmentId sealed = caller.placed(kSealed, 64).extent.segment;
  const SegmentId live = caller.placed(kLive, 64, 64).extent.segment;
  const SegmentId other = caller.placed(kOtherNamespace, 64).extent.segment;
  CHECK(sealed != live);
  CHECK(sealed != other);
  CHECK(live != other);
  CHECK(caller.placed(kSealed, 1_MiB).extent.segment == sealed);
}

TEST_CASE("each shared segment of a pool is twice the last, up to 1 GiB", "[space]") {
  Caller caller{Space(64_GiB, 0)};
  while (caller.made.size() < 9) (void)caller.placed(kSealed, 4_MiB);
  std::vector<std::uint64_t> sizes;
  for (const SegmentPlan& plan : caller.made) sizes.push_back(plan.size_bytes);
  CHECK(sizes ==
        std::vector<std::uint64_t>{16_MiB, 32_MiB, 64_MiB, 128_MiB, 256_MiB, 512_MiB, 1_GiB, 1_GiB, 1_GiB});
  // Another pool starts small.
  (void)caller.placed(kOtherNamespace, 4_MiB);
  CHECK(caller.made.back().size_bytes == 16_MiB);
}

TEST_CASE("a tensor larger than half of the next segment gets one of its own", "[space]") {
  Caller caller{Space(64_GiB, 0)};
  (void)caller.placed(kSealed, 8_MiB);
  CHECK(caller.made.back() == SegmentPlan{kSealed, 16_MiB, true});
  (void)caller.placed(kSealed, 16_MiB + 1);
  CHECK(caller.made.back() == SegmentPlan{kSealed, 16_MiB + 4_KiB, false});
  (void)caller.placed(kLive, 3_GiB, 64);
  CHECK(caller.made.back() == SegmentPlan{kLive, 3_GiB + 4_KiB, false});  // a page for the prefix
  // Segments made to measure do not change how the pool grows.
  while (caller.placed(kSealed, 4_MiB).extent.segment != caller.last_id) continue;
  CHECK(caller.made.back() == SegmentPlan{kSealed, 32_MiB, true});
}

TEST_CASE("in a small store a pool takes an eighth at a time", "[space]") {
  Caller caller{Space(32_MiB, 0)};
  (void)caller.placed(kSealed, 64);
  CHECK(caller.made.back().size_bytes == 4_MiB);
  (void)caller.placed(kOtherNamespace, 3_MiB);
  CHECK(caller.made.back() == SegmentPlan{kOtherNamespace, 3_MiB, false});
}

TEST_CASE("the smallest hole of the whole pool is used first", "[space]") {
  Caller caller{Space(64_GiB, 64_GiB)};
  std::vector<Placed> filled;
  while (caller.made.size() < 3) filled.push_back(caller.placed(kSealed, 4_MiB));
  // Segment 1 gets a hole of 8 MiB, segment 2 one of 4 MiB; segment 3 has 60 MiB left.
  std::vector<Extent> in_2;
  caller.space.free(filled[0].extent);
  caller.space.free(filled[1].extent);
  for (const Placed& placed : filled) {
    if (placed.extent.segment == 2) in_2.push_back(placed.extent);
  }
  caller.space.free(in_2[3]);

  const Placed first = caller.placed(kSealed, 3_MiB);
  CHECK(first.extent.segment == 2);
  CHECK(first.extent.offset == in_2[3].offset);
  CHECK(caller.placed(kSealed, 5_MiB).extent.segment == 1);
  CHECK(caller.placed(kSealed, 5_MiB).extent.segment == 3);
  CHECK(caller.made.size() == 3);
}

TEST_CASE("two segments under way cannot both take the last of the limit", "[space]") {
  Space space(100_MiB, 0);
  const auto first = expect<NeedsSegment>(space.place(kSealed, 60_MiB, 0));
  space.reserve_begin(first.plan);
  const auto refused = expect<OutOfSpace>(space.place(kOtherNamespace, 60_MiB, 0));
  CHECK(refused.asked_bytes == 60_MiB);
  CHECK(refused.largest_free_bytes == 40_MiB);
  CHECK(refused.limit_bytes == 100_MiB);

  space.reserve_cancel(first.plan);
  CHECK(space.figures().pending_bytes == 0);
  const auto second = expect<NeedsSegment>(space.place(kOtherNamespace, 60_MiB, 0));
  space.reserve_begin(second.plan);
  space.add_segment(1, second.plan);
  (void)expect<Placed>(space.place(kOtherNamespace, 60_MiB, 0));
  const auto full = expect<OutOfSpace>(space.place(kSealed, 60_MiB, 0));
  CHECK(full.free_bytes == 40_MiB);
}

TEST_CASE("while a shared segment is under way, tensors that fit it wait for it", "[space]") {
  Space space(8_GiB, 0);
  const auto first = expect<NeedsSegment>(space.place(kSealed, 1_MiB, 0));
  space.reserve_begin(first.plan);
  (void)expect<AwaitsSegment>(space.place(kSealed, 1_MiB, 0));
  (void)expect<NeedsSegment>(space.place(kOtherNamespace, 1_MiB, 0));
  (void)expect<NeedsSegment>(space.place(kSealed, 20_MiB, 0));  // would not fit it

  SECTION("and find their place in it") {
    space.add_segment(1, first.plan);
    CHECK(expect<Placed>(space.place(kSealed, 1_MiB, 0)).extent.segment == 1);
    CHECK(expect<Placed>(space.place(kSealed, 1_MiB, 0)).extent.segment == 1);
  }
  SECTION("and ask for one themselves if it failed") {
    space.reserve_cancel(first.plan);
    CHECK(expect<NeedsSegment>(space.place(kSealed, 1_MiB, 0)).plan == first.plan);
  }
}

TEST_CASE("a segment made for one large tensor is not waited for", "[space]") {
  Space space(8_GiB, 0);
  const auto large = expect<NeedsSegment>(space.place(kSealed, 100_MiB, 0));
  space.reserve_begin(large.plan);
  CHECK(expect<NeedsSegment>(space.place(kSealed, 1_MiB, 0)).plan == SegmentPlan{kSealed, 16_MiB, true});
}

TEST_CASE("near the limit a smaller segment is made, as long as it holds the tensor", "[space]") {
  Caller caller{Space(256_MiB, 0)};
  (void)caller.placed(kOtherNamespace, 250_MiB);
  (void)caller.placed(kSealed, 1_MiB);
  CHECK(caller.made.back() == SegmentPlan{kSealed, 4_MiB, true});
  (void)caller.placed(kLive, 2_MiB - 4_KiB, 64);
  CHECK(caller.made.back() == SegmentPlan{kLive, 2_MiB, true});
  CHECK(caller.space.figures().reserved_bytes == 256_MiB);
  CHECK(expect<OutOfSpace>(caller.place(kLive, 4_KiB, 64)).largest_free_bytes < 4_KiB);
}

TEST_CASE("near the limit, empty segments that were kept warm give way", "[space]") {
  Caller caller{Space(256_MiB, 256_MiB)};
  const Placed small = caller.placed(kOtherNamespace, 20_MiB);
  const Placed large = caller.placed(kOtherNamespace, 100_MiB);
  const Placed kept = caller.placed(kOtherNamespace, 130_MiB);
  CHECK(caller.space.free(small.extent));
  CHECK(caller.space.free(large.extent));
  CHECK(caller.space.surplus().empty());
  CHECK(caller.space.figures().warm_bytes == 120_MiB);

  SECTION("one that suffices, and as small as possible") {
    (void)caller.placed(kSealed, 30_MiB);
    CHECK(caller.dropped == std::vector<SegmentId>{large.extent.segment});
    CHECK(caller.space.figures().warm_bytes == 20_MiB);
  }
  SECTION("the least that is missing counts, not a full segment") {
    (void)caller.placed(kSealed, 7_MiB);
    CHECK(caller.dropped == std::vector<SegmentId>{small.extent.segment});
  }
  SECTION("as many as it takes, the largest first") {
    (void)caller.placed(kSealed, 126_MiB);
    CHECK(caller.dropped == std::vector<SegmentId>{large.extent.segment, small.extent.segment});
  }
  SECTION("and none if it were for nothing") {
    const auto refused = expect<OutOfSpace>(caller.place(kSealed, 127_MiB));
    CHECK(caller.dropped.empty());
    CHECK(refused.free_bytes == 126_MiB);
    CHECK(refused.largest_free_bytes == 126_MiB);
  }
  CHECK_FALSE(std::count(caller.dropped.begin(), caller.dropped.end(), kept.extent.segment));
}

TEST_CASE("empty segments beyond keep-warm are to be dropped, and only those", "[space]") {
  Caller caller{Space(8_GiB, 150_MiB)};
  const Placed a = caller.placed(kSealed, 100_MiB);
  const Placed b = caller.placed(kSealed, 100_MiB);
  const Placed c = caller.placed(kSealed, 40_MiB);
  CHECK(caller.space.free(a.extent));
  CHECK(caller.space.surplus().empty());
  CHECK(caller.space.free(c.extent));
  CHECK(caller.space.surplus().empty());
  CHECK(caller.space.free(b.extent));
  // 240 MiB are empty; a is of b's size and has been empty for longer.
  CHECK(caller.space.droppable() ==
        std::vector<SegmentId>{a.extent.segment, b.extent.segment, c.extent.segment});
  CHECK(caller.space.surplus() == std::vector<SegmentId>{a.extent.segment});
  caller.space.drop(a.extent.segment);
  CHECK(caller.space.surplus().empty());
  CHECK(caller.space.figures().reserved_bytes == 140_MiB);
  CHECK(caller.space.figures().segments == 2);
}

TEST_CASE("a warm segment is used again, by its own pool alone", "[space]") {
  Caller caller{Space(8_GiB, 8_GiB)};
  const Placed first = caller.placed(kSealed, 100_MiB);
  CHECK(caller.space.free(first.extent));
  CHECK(caller.placed(kOtherNamespace, 100_MiB).extent.segment != first.extent.segment);
  const Placed again = caller.placed(kSealed, 75_MiB);
  CHECK(again.extent.segment == first.extent.segment);
  CHECK(caller.space.droppable().empty());
  CHECK(caller.space.free(again.extent));
}

TEST_CASE("small tensors stay out of what was made for a large one, until they would be refused", "[space]") {
  Caller caller{Space(256_MiB, 256_MiB)};
  const Placed large = caller.placed(kSealed, 200_MiB);
  CHECK(caller.space.free(large.extent));
  // Three quarters of it are worth it; what is left over waits.
  const Placed again = caller.placed(kSealed, 150_MiB);
  CHECK(again.extent.segment == large.extent.segment);
  const Placed small = caller.placed(kSealed, 1_MiB);
  CHECK(small.extent.segment != large.extent.segment);
  CHECK(caller.placed(kSealed, 40_MiB).extent.segment != large.extent.segment);
  CHECK(caller.placed(kSealed, 40_MiB).extent.segment == large.extent.segment);
  CHECK(caller.made.size() == 3);
}

TEST_CASE("the fuller a store, the smaller the tensors that get segments of their own", "[space]") {
  Caller caller{Space(4_GiB, 0)};
  while (caller.space.figures().reserved_bytes < 1_GiB) (void)caller.placed(kSealed, 4_MiB);
  CHECK(caller.made.back().shared);
  CHECK(caller.made.back().size_bytes > 64_MiB);
  (void)caller.placed(kOtherNamespace, 2_GiB);
  // Whatever the pool's next segment would be by doubling, it leaves the others most of the room.
  while (caller.made.back().pool == kOtherNamespace) (void)caller.placed(kSealed, 4_MiB);
  CHECK(caller.made.back().shared);
  CHECK(caller.made.back().size_bytes < 1_GiB / 16);
  (void)caller.placed(kLive, 30_MiB, 64);
  CHECK_FALSE(caller.made.back().shared);
}

TEST_CASE("a pool whose segments are all gone starts over, small", "[space]") {
  Caller caller{Space(8_GiB, 0)};
  std::vector<Placed> all;
  while (caller.made.size() < 4) all.push_back(caller.placed(kSealed, 4_MiB));
  for (const Placed& placed : all) {
    if (caller.space.free(placed.extent)) caller.space.drop(placed.extent.segment);
  }
  CHECK(caller.space.figures().segments == 0);
  CHECK(caller.space.figures().reserved_bytes == 0);
  CHECK(caller.space.figures().used_bytes == 0);
  (void)caller.placed(kSealed, 4_MiB);
  CHECK(caller.made.back().size_bytes == 16_MiB);
}

TEST_CASE("no size a client can send overflows anything", "[space]") {
  for (const std::uint64_t limit :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4096}, 8_GiB, ~std::uint64_t{0}}) {
    Caller caller{Space(limit, 0)};
    if (limit >= 8_GiB) (void)caller.placed(kSealed, 1);
    for (int shift = 13; shift < 64; ++shift) {
      for (const std::int64_t delta : {-65, -64, -1, 0, 1, 64, 4096}) {
        const std::uint64_t size_bytes = (std::uint64_t{1} << shift) + static_cast<std::uint64_t>(delta);
        for (const std::uint64_t prefix_bytes : {0, 64}) {
          const Placement outcome =
              caller.space.place(prefix_bytes != 0 ? kLive : kSealed, size_bytes, prefix_bytes);
          if (const auto* refused = std::get_if<OutOfSpace>(&outcome)) {
            CHECK(refused->asked_bytes == size_bytes);
          } else if (const auto* needed = std::get_if<NeedsSegment>(&outcome)) {
            CHECK(needed->plan.size_bytes >= size_bytes);
            CHECK(needed->plan.size_bytes <= limit);
          } else {
            CHECK(std::get<Placed>(outcome).extent.size_bytes >= size_bytes);
          }
        }
      }
    }
    CHECK(std::holds_alternative<OutOfSpace>(caller.space.place(kSealed, ~std::uint64_t{0}, 0)));
  }
}

// Many callers at once, segments that come late or not at all, drops, and every figure compared
// with what a plain list of extents says.
TEST_CASE("random use keeps extents apart, pools apart, and the limit", "[space]") {
  const Pool pools[] = {kSealed, kLive, kOtherNamespace};
  std::map<std::string, int> seen;
  for (const unsigned seed : {11u, 12u, 13u, 14u}) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::uint64_t limit_bytes = 64_MiB;
    const std::uint64_t keep_warm_bytes = 12_MiB;
    Space space(limit_bytes, keep_warm_bytes);

    std::map<SegmentId, SegmentPlan> segments;
    std::vector<SegmentPlan> under_way;
    struct Tensor {
      Extent extent;
      Pool pool;
    };
    std::vector<Tensor> tensors;
    SegmentId last_id = 0;

    const auto drop = [&](SegmentId id) {
      for (const Tensor& tensor : tensors) REQUIRE(tensor.extent.segment != id);
      space.drop(id);
      REQUIRE(segments.erase(id) == 1);
    };

    for (int step = 0; step < 4000; ++step) {
      CAPTURE(step);
      const std::uint64_t dice = random() % 100;
      // The mood swings, so that the store is met both full and nearly empty.
      const std::uint64_t create_share = step / 500 % 2 == 0 ? 65 : 35;
      if (dice < create_share) {
        const Pool pool = pools[random() % 3];
        const std::uint64_t prefix_bytes = pool.kind == Kind::kLive ? 64 : 0;
        const std::uint64_t size_bytes = random() % (std::uint64_t{1} << (random() % 24));
        const Placement outcome = space.place(pool, size_bytes, prefix_bytes);
        if (const auto* placed = std::get_if<Placed>(&outcome)) {
          ++seen["placed"];
          const Extent& extent = placed->extent;
          REQUIRE(segments.at(extent.segment).pool == pool);
          REQUIRE(placed->offset_bytes == extent.offset + prefix_bytes);
          REQUIRE(placed->offset_bytes % (size_bytes >= 4096 ? 4096 : 64) == 0);
          REQUIRE(extent.size_bytes >= prefix_bytes + size_bytes);
          REQUIRE(extent.offset + extent.size_bytes <= segments.at(extent.segment).size_bytes);
          for (const Tensor& other : tensors) {
            if (other.extent.segment != extent.segment) continue;
            REQUIRE((other.extent.offset + other.extent.size_bytes <= extent.offset ||
                     extent.offset + extent.size_bytes <= other.extent.offset));
          }
          tensors.push_back({extent, pool});
        } else if (const auto* needed = std::get_if<NeedsSegment>(&outcome)) {
          ++seen["needs segment"];
          REQUIRE(needed->plan.pool == pool);
          REQUIRE(needed->plan.size_bytes % 4096 == 0);
          space.reserve_begin(needed->plan);
          under_way.push_back(needed->plan);
        } else if (const auto* needs_drop = std::get_if<NeedsDrop>(&outcome)) {
          ++seen["needs drop"];
          for (const SegmentId id : needs_drop->segments) drop(id);
          // Dropping that was enough: a segment may be made now.
          const Placement next = space.place(pool, size_bytes, prefix_bytes);
          REQUIRE(std::holds_alternative<NeedsSegment>(next));
          space.reserve_begin(std::get<NeedsSegment>(next).plan);
          under_way.push_back(std::get<NeedsSegment>(next).plan);
        } else if (std::holds_alternative<AwaitsSegment>(outcome)) {
          ++seen["awaits segment"];
          REQUIRE(std::any_of(under_way.begin(), under_way.end(),
                              [&](const SegmentPlan& plan) { return plan.shared && plan.pool == pool; }));
        } else {
          ++seen["out of space"];
          const auto& refused = std::get<OutOfSpace>(outcome);
          REQUIRE(refused.asked_bytes == size_bytes);
          REQUIRE(refused.limit_bytes == limit_bytes);
        }
      } else if (dice < 90 && !tensors.empty()) {
        std::swap(tensors[random() % tensors.size()], tensors.back());
        const Extent extent = tensors.back().extent;
        tensors.pop_back();
        const bool last = std::none_of(tensors.begin(), tensors.end(),
                                       [&](const Tensor& t) { return t.extent.segment == extent.segment; });
        REQUIRE(space.free(extent) == last);
        for (const SegmentId id : space.surplus()) drop(id);
        REQUIRE(space.figures().warm_bytes <= keep_warm_bytes);
      } else if (!under_way.empty()) {
        std::swap(under_way[random() % under_way.size()], under_way.back());
        const SegmentPlan plan = under_way.back();
        under_way.pop_back();
        if (random() % 4 == 0) {
          ++seen["cancelled"];
          space.reserve_cancel(plan);
        } else {
          space.add_segment(++last_id, plan);
          segments.emplace(last_id, plan);
        }
      }

      std::uint64_t used = 0, reserved = 0, pending = 0, warm = 0;
      std::map<SegmentId, int> tensors_in;
      for (const Tensor& tensor : tensors) {
        used += tensor.extent.size_bytes;
        ++tensors_in[tensor.extent.segment];
      }
      for (const auto& [id, plan] : segments) {
        reserved += plan.size_bytes;
        if (tensors_in[id] == 0) warm += plan.size_bytes;
      }
      for (const SegmentPlan& plan : under_way) pending += plan.size_bytes;
      const SpaceFigures figures = space.figures();
      REQUIRE(figures.used_bytes == used);
      REQUIRE(figures.reserved_bytes == reserved);
      REQUIRE(figures.pending_bytes == pending);
      REQUIRE(figures.warm_bytes == warm);
      REQUIRE(figures.segments == segments.size());
      REQUIRE(figures.free_bytes == limit_bytes - used);
      REQUIRE(reserved + pending <= limit_bytes);
    }

    for (const SegmentPlan& plan : under_way) space.reserve_cancel(plan);
    for (const Tensor& tensor : tensors) space.free(tensor.extent);
    tensors.clear();
    for (const SegmentId id : space.droppable()) drop(id);
    REQUIRE(segments.empty());
    const SpaceFigures figures = space.figures();
    CHECK(figures.used_bytes == 0);
    CHECK(figures.reserved_bytes == 0);
    CHECK(figures.largest_free_bytes == limit_bytes);
  }
  // Every outcome was met, more than once.
  for (const char* outcome :
       {"placed", "needs segment", "needs drop", "awaits segment", "out of space", "cancelled"}) {
    CAPTURE(outcome);
    CHECK(seen[outcome] >= 5);
  }
}

TEST_CASE("a segment is worth keeping if others share it, or if it can stay warm", "[space]") {
  const Space space(8_GiB, /*keep_warm_bytes=*/1_GiB);
  CHECK(space.is_worth_keeping({kSealed, 1_GiB, /*shared=*/false}));
  CHECK_FALSE(space.is_worth_keeping({kSealed, 1_GiB + 1, false}));
  CHECK(space.is_worth_keeping({kSealed, 1_GiB + 1, true}));
}

TEST_CASE("a new segment is no larger than what the machine has, and smaller rather than none", "[space]") {
  Space space(8_GiB, 1_GiB);
  const auto needed = expect<NeedsSegment>(space.place(kSealed, 1_MiB, 0, /*machine_bytes=*/6_MiB));
  CHECK(needed.plan == SegmentPlan{kSealed, 4_MiB, true});
  const auto outcome = expect<OutOfSpace>(space.place(kSealed, 7_MiB, 0, 6_MiB));
  CHECK(outcome.free_bytes == 6_MiB);
  CHECK(outcome.largest_free_bytes == 6_MiB);
  CHECK(outcome.limit_bytes == 8_GiB);
}

TEST_CASE("what is kept warm goes before somebody is refused because the machine has no more", "[space]") {
  Caller caller{Space(8_GiB, 1_GiB)};
  caller.space.free(caller.placed(kSealed, 100_MiB).extent);
  const auto needed = expect<NeedsDrop>(caller.space.place(kOtherNamespace, 64_MiB, 0, /*machine_bytes=*/0));
  CHECK(needed.segments == std::vector<SegmentId>{1});
  const auto outcome = expect<OutOfSpace>(caller.space.place(kOtherNamespace, 101_MiB, 0, 0));
  CHECK(outcome.free_bytes == 100_MiB);
  CHECK(outcome.largest_free_bytes == 100_MiB);
}

TEST_CASE("where address space costs nothing, a pool begins with a large segment", "[space]") {
  Space space(64_GiB, 1_GiB, kMaxSharedSegmentBytes);
  CHECK(expect<NeedsSegment>(space.place(kSealed, 100, 0)).plan.size_bytes == 1_GiB);
}
