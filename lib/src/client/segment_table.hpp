// SegmentTable: the segments that one connection has mapped, each once.
//
// Looked up on every attach, so a lookup is an array access without a lock. Entries appear when
// the daemon grants a segment and are replaced only when their index serves a new segment, which
// happens after the old one held no tensor any more and so no view of ours.
// Threads  find() from any thread at any time; install() one thread at a time.
// Owns     the mappings, and one descriptor for each segment, for private mappings and for writing past the
//          page tables (page_state.hpp); all go with the table.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include "client/page_state.hpp"
#include "os/memfd.hpp"
#include "os/unique_fd.hpp"
#include "protocol/segment_id.hpp"

namespace tensord::client {

class Segment {
 public:
  Segment(std::uint64_t id, os::Memfd read_only);

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] std::uint64_t inode() const { return inode_; }
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] const os::Memfd& memfd() const { return memfd_; }
  // The shared mapping; for writing null until allow_writing().
  [[nodiscard]] std::byte* base(bool writable) const {
    return (writable ? writable_base_ : read_only_base_).load(std::memory_order_acquire);
  }
  // What is behind the mapping for writing; null as long as that is.
  [[nodiscard]] PageState* pages() const {
    return base(/*writable=*/true) == nullptr ? nullptr : pages_.get();
  }

 private:
  friend class SegmentTable;
  void allow_writing(const os::Memfd& read_write);
  void unmap();

  const std::uint64_t id_;
  std::uint64_t inode_ = 0;
  std::size_t size_bytes_ = 0;
  os::Memfd memfd_;
  boost::interprocess::mapped_region read_only_;
  boost::interprocess::mapped_region writable_;
  std::unique_ptr<PageState> pages_;  // before writable_base_
  std::atomic<std::byte*> read_only_base_{nullptr};
  std::atomic<std::byte*> writable_base_{nullptr};
};

class SegmentTable {
 public:
  SegmentTable();

  // The segment of this id, or null while it is not granted.
  [[nodiscard]] const Segment* find(std::uint64_t id) const {
    const Segment* segment = entries_[protocol::segment_index(id)].load(std::memory_order_acquire);
    return segment != nullptr && segment->id() == id ? segment : nullptr;
  }

  // Enters a granted segment; `read_write` is empty for a grant to read. Throws std::system_error
  // or boost::interprocess::interprocess_exception if it cannot be mapped.
  void install(std::uint64_t id, os::Memfd read_only, const os::Memfd& read_write);

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  // calloc: pages of entries that are never used are never touched.
  std::unique_ptr<std::atomic<Segment*>[], Free> entries_;
  // All there ever were: a lookup may still hold an entry that has just been replaced.
  std::vector<std::unique_ptr<Segment>> owned_;
};

}  // namespace tensord::client
