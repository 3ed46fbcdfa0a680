#include "client/segment_table.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "os/pages.hpp"
#include "shm/slot.hpp"

namespace tensord::client {
namespace {

namespace bip = boost::interprocess;

// Core dumps of a client would carry every tensor it could see.
void leave_out_of_core_dumps(const bip::mapped_region& region) {
  ::madvise(region.get_address(), region.get_size(), MADV_DONTDUMP);
}

}  // namespace

Segment::Segment(std::uint64_t id, os::Memfd read_only)
    : id_(id),
      inode_(read_only.inode()),
      size_bytes_(read_only.size_bytes()),
      memfd_(std::move(read_only)),
      read_only_(os::map(memfd_, bip::read_only)) {
  leave_out_of_core_dumps(read_only_);
  read_only_base_.store(static_cast<std::byte*>(read_only_.get_address()), std::memory_order_release);
}

void Segment::allow_writing(const os::Memfd& read_write) {
  if (writable_base_.load(std::memory_order_relaxed) != nullptr) return;
  if (read_write.inode() != inode_ || read_write.size_bytes() != size_bytes_) {
    throw std::system_error(EINVAL, std::generic_category(), "two descriptors of one segment differ");
  }
  writable_ = os::map(read_write, bip::read_write);
  leave_out_of_core_dumps(writable_);
  memfd_.take_rights_of(read_write);
  pages_ =
      std::make_unique<PageState>(static_cast<std::byte*>(writable_.get_address()), size_bytes_, memfd_.fd());
  writable_base_.store(static_cast<std::byte*>(writable_.get_address()), std::memory_order_release);
}

void Segment::unmap() {
  read_only_ = {};
  writable_ = {};
  memfd_ = {};
}

SegmentTable::SegmentTable()
    : entries_(static_cast<std::atomic<Segment*>*>(
          std::calloc(protocol::kMaxSegments, sizeof(std::atomic<Segment*>)))) {
  if (entries_ == nullptr) throw std::bad_alloc();
}

void SegmentTable::install(std::uint64_t id, os::Memfd read_only, const os::Memfd& read_write) {
  if (read_only.size_bytes() < shm::kLivePrefixBytes) {
    throw std::system_error(EINVAL, std::generic_category(), "a segment too small for any tensor");
  }
  std::atomic<Segment*>& entry = entries_[protocol::segment_index(id)];
  Segment* segment = entry.load(std::memory_order_relaxed);
  if (segment == nullptr || segment->id() != id) {
    owned_.push_back(std::make_unique<Segment>(id, std::move(read_only)));
    Segment* const replaced = segment;
    segment = owned_.back().get();
    entry.store(segment, std::memory_order_release);
    if (replaced != nullptr) replaced->unmap();
  }
  if (read_write) segment->allow_writing(read_write);
}

}  // namespace tensord::client
