// CatalogPages: huge pages for the catalog of a store that came to hold many tensors.
//
// The catalog is as large as --max-tensors asks and mostly holes, and a small store is to stay small. But who
// attaches at random among a million tensors misses the TLB in the index and in the slots: there, huge pages
// save a quarter of the time (docs/decisions/huge-pages.md).
// Threads  one; the work is handed to `run`.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <utility>

#include "os/pages.hpp"
#include "shm/slot.hpp"

namespace tensord::daemon {

class CatalogPages {
 public:
  using Run = std::function<void(std::function<void()>)>;
  // Fewer tensors than this are left alone.
  static constexpr std::size_t kManySlots = os::kHugePageBytes / sizeof(shm::Slot);

  // `catalog` is mapped by os::map() and stays mapped until all that `run` was given is done. An empty `run`:
  // no huge pages are wanted.
  CatalogPages(std::span<std::byte> catalog, std::size_t slots_offset_bytes, Run run)
      : catalog_(catalog), slots_offset_bytes_(slots_offset_bytes), run_(std::move(run)) {}

  // A slot is in use. They are taken in order, so what lies before it is, too: the index, and other slots.
  void reach(std::size_t slot) {
    if (slot < kManySlots || !run_) return;
    const std::size_t end_bytes = slots_offset_bytes_ + (slot + 1) * sizeof(shm::Slot);
    while (done_bytes_ < end_bytes && catalog_.size() - done_bytes_ >= os::kHugePageBytes) {
      // One at a time: others have work for the helper, too.
      run_([piece = catalog_.subspan(done_bytes_, os::kHugePageBytes)] { os::make_huge(piece); });
      done_bytes_ += os::kHugePageBytes;
    }
  }
  [[nodiscard]] std::size_t done_bytes() const { return done_bytes_; }

 private:
  std::span<std::byte> catalog_;
  std::size_t slots_offset_bytes_;
  Run run_;
  std::size_t done_bytes_ = 0;
};

}  // namespace tensord::daemon
