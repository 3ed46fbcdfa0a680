// Backing: which pieces of an on-demand segment have memory behind them, and how many tensors need each.
//
// Question it answers: what must be reserved before this extent may be used, and what may go back to the
// system now that it is not?
// A piece is 2 MiB, what a huge page is, so that neither the daemon nor a client that looks for huge pages
// ever touches a piece without memory. Small tensors share pieces.
//
//   take() -> missing() -> reserve it elsewhere -> has_memory()    a tensor comes
//   leave() -> what nobody needs any more; reclaim() what is given back, before it is
//
// Threads  one.
#pragma once

#include <cstdint>
#include <vector>

#include "os/pages.hpp"

namespace tensord::daemon {

enum class Reserve {
  kAhead,     // memory behind every byte of a segment before it is granted
  kOnDemand,  // behind the pieces that tensors lie in
};

struct Range {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

class Backing {
 public:
  static constexpr std::uint64_t kPieceBytes = os::kHugePageBytes;

  explicit Backing(std::uint64_t size_bytes);

  // REQUIRES of all: the range lies in the segment and is not empty.
  // One more tensor needs its pieces.
  void take(const Range& extent);
  // Its pieces without memory, neighbours joined.
  [[nodiscard]] std::vector<Range> missing(const Range& extent) const;
  // These whole pieces have memory now.
  void has_memory(const Range& pieces);
  // One tensor fewer needs them. Returns those that have memory and that nobody needs any more.
  std::vector<Range> leave(const Range& extent);
  // All that have memory and that nobody needs.
  [[nodiscard]] std::vector<Range> idle() const;
  // These have no memory any more. REQUIRES: nobody needs them.
  void reclaim(const Range& pieces);

  [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }
  [[nodiscard]] std::uint64_t idle_bytes() const { return idle_bytes_; }

 private:
  struct Piece {
    std::uint32_t tensors = 0;
    bool has_memory = false;
    [[nodiscard]] bool is_idle() const { return has_memory && tensors == 0; }
  };
  struct Indexes {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  [[nodiscard]] static Indexes pieces_of(const Range& range);
  [[nodiscard]] std::uint64_t bytes_of(std::size_t piece) const;  // the last one may be shorter
  template <class Wanted>
  [[nodiscard]] std::vector<Range> those(Indexes among, Wanted&& wanted) const;

  const std::uint64_t size_bytes_;
  std::vector<Piece> pieces_;
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t idle_bytes_ = 0;
};

}  // namespace tensord::daemon
