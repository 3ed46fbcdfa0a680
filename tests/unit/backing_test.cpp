#include "backing.hpp"

#include <vector>

#include "catch.hpp"

using namespace tensord::daemon;

namespace {

constexpr std::uint64_t kPiece = Backing::kPieceBytes;
using Ranges = std::vector<Range>;

}  // namespace

TEST_CASE("an extent misses the whole pieces that it touches, until they have memory", "[backing]") {
  Backing backing(8 * kPiece);
  const Range extent{kPiece + 64, 2 * kPiece};  // in three pieces
  backing.take(extent);
  CHECK(backing.missing(extent) == Ranges{{kPiece, 3 * kPiece}});
  backing.has_memory({2 * kPiece, kPiece});
  CHECK(backing.missing(extent) == Ranges{{kPiece, kPiece}, {3 * kPiece, kPiece}});
  backing.has_memory({kPiece, 3 * kPiece});
  CHECK(backing.missing(extent).empty());
  CHECK(backing.memory_bytes() == 3 * kPiece);
  CHECK(backing.idle_bytes() == 0);
}

TEST_CASE("a piece is needed as long as one tensor in it is", "[backing]") {
  Backing backing(4 * kPiece);
  const Range small{64, 64}, other{128, 64}, across{kPiece - 64, 128};
  for (const Range& extent : {small, other, across}) backing.take(extent);
  backing.has_memory({0, 2 * kPiece});
  CHECK(backing.leave(small).empty());
  CHECK(backing.leave(across) == Ranges{{kPiece, kPiece}});
  CHECK(backing.leave(other) == Ranges{{0, kPiece}});
  CHECK(backing.idle() == Ranges{{0, 2 * kPiece}});
  CHECK(backing.idle_bytes() == 2 * kPiece);

  backing.take(small);  // kept warm, and used again
  CHECK(backing.missing(small).empty());
  CHECK(backing.idle_bytes() == kPiece);
  backing.reclaim({kPiece, kPiece});
  CHECK(backing.memory_bytes() == kPiece);
  CHECK(backing.missing(across) == Ranges{{kPiece, kPiece}});
}

TEST_CASE("memory that came for nobody is idle", "[backing]") {
  // Of a reservation that failed half way, after which the tensor left.
  Backing backing(4 * kPiece);
  const Range extent{0, 4 * kPiece};
  backing.take(extent);
  backing.has_memory({0, kPiece});
  CHECK(backing.leave(extent) == Ranges{{0, kPiece}});
  CHECK(backing.idle_bytes() == kPiece);
}

TEST_CASE("the last piece of a segment is as short as the segment ends", "[backing]") {
  Backing backing(kPiece + 4096);
  const Range extent{kPiece, 64};
  backing.take(extent);
  CHECK(backing.missing(extent) == Ranges{{kPiece, 4096}});
  backing.has_memory({kPiece, 4096});
  CHECK(backing.memory_bytes() == 4096);
  CHECK(backing.leave(extent) == Ranges{{kPiece, 4096}});
  backing.reclaim({kPiece, 4096});
  CHECK(backing.memory_bytes() == 0);
  CHECK(backing.idle_bytes() == 0);
}
