// ExtentMap: the free byte ranges of one segment.
//
// The map lives in the daemon's own memory, never in the segment: nothing that a client writes
// there can damage it, and the pages of a free range are not touched to remember that it is free.
//
// Best fit: an allocation is cut from the smallest free extent that holds it, and of equally
// small ones from the one at the lowest offset. Neighbouring free extents are always joined.
//
// Cost     O(log extents) for everything, see kMaxMisfits in the source for the one exception.
// Threads  one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace tensord::daemon {

class ExtentMap {
 public:
  // All of the segment is free. REQUIRES: 0 < size_bytes <= 2^62.
  explicit ExtentMap(std::uint64_t size_bytes);

  // Where an allocation would go, and how large the free extent is that it would be cut from.
  struct Fit {
    std::uint64_t offset = 0;
    std::uint64_t hole_bytes = 0;
  };
  // Looks for size_bytes so that offset + prefix_bytes is a multiple of alignment.
  // REQUIRES: size_bytes > 0, alignment a power of two, prefix_bytes <= 2^16.
  [[nodiscard]] std::optional<Fit> find(std::uint64_t size_bytes, std::uint64_t alignment,
                                        std::uint64_t prefix_bytes = 0) const;

  // Takes a range that find() has just offered. REQUIRES: the range is free.
  void take(std::uint64_t offset, std::uint64_t size_bytes);

  // Whether nothing of this range is taken; any values are allowed.
  [[nodiscard]] bool is_free(std::uint64_t offset, std::uint64_t size_bytes) const;

  // find() and take().
  std::optional<std::uint64_t> allocate(std::uint64_t size_bytes, std::uint64_t alignment,
                                        std::uint64_t prefix_bytes = 0);

  // Gives a range back. REQUIRES: all of it is taken; freeing twice is our own bug and asserts.
  void free(std::uint64_t offset, std::uint64_t size_bytes);

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint64_t free_bytes() const { return free_bytes_; }
  [[nodiscard]] std::uint64_t largest_free_bytes() const;
  [[nodiscard]] bool empty() const { return free_bytes_ == size_bytes_; }  // nothing is taken

 private:
  void insert(std::uint64_t offset, std::uint64_t size_bytes);
  void erase(std::map<std::uint64_t, std::uint64_t>::iterator extent);

  std::map<std::uint64_t, std::uint64_t> by_offset_;           // offset -> size
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_size_;  // (size, offset) of the same
  std::uint64_t size_bytes_;
  std::uint64_t free_bytes_ = 0;
};

}  // namespace tensord::daemon
