// A View reads shape, strides and dtype straight from its slot: while the pin holds, the daemon
// does not touch them, so there is nothing to copy.
#include <tensord/view.hpp>

#include <cassert>
#include <cstring>
#include <utility>

#include "client/connection.hpp"
#include "client/copy.hpp"
#include "client/live.hpp"
#include "protocol/tensor_spec.hpp"
#include "shm/slot.hpp"

namespace tensord {

View& View::operator=(View other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(slot_, other.slot_);
  std::swap(tail_, other.tail_);
  std::swap(data_, other.data_);
  std::swap(index_, other.index_);
  std::swap(mode_, other.mode_);
  return *this;
}

std::string_view View::name() const { return shm::name_of(*slot_, *tail_); }
DType View::dtype() const { return slot_->dtype; }
Kind View::kind() const { return static_cast<Kind>(slot_->kind); }
int View::ndim() const { return slot_->ndim; }
std::span<const std::int64_t> View::shape() const { return {tail_->shape, slot_->ndim}; }
std::span<const std::int64_t> View::strides() const { return {tail_->strides, slot_->ndim}; }
std::size_t View::size_bytes() const { return slot_->size_bytes; }

std::int64_t View::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape()) count *= extent;
  return count;
}

Location View::location() const {
  const client::Segment& segment = connection_->segment_of(*slot_);
  return {segment.id(), segment.inode(), slot_->offset};
}

std::byte* View::mutable_data() const {
  if (mode_ == Mode::kReadWrite) return data_;
  throw PermissionDeniedError("the view of " + protocol::quoted(name()) + " is read-only: " +
                              (kind() == Kind::kLive
                                   ? "attach it \"r+\" to write it, or clone it"
                                   : "sealed tensors never change; clone it to get your own copy"));
}

void View::require_elements(DType dtype) const {
  if (dtype != slot_->dtype) {
    throw InvalidArgumentError("the tensor " + protocol::quoted(name()) + " holds " +
                               std::string(dtype_name(slot_->dtype)) + ", not " +
                               std::string(dtype_name(dtype)));
  }
  if (!is_contiguous(shape(), strides())) {
    throw InvalidArgumentError("the elements of " + protocol::quoted(name()) +
                               " are not C-contiguous: use data(), shape() and strides()");
  }
}

std::shared_ptr<std::byte> View::map_private() const { return connection_->map_private(*this); }

std::uint64_t View::clone_to(std::span<std::byte> destination, std::chrono::nanoseconds timeout) const {
  if (destination.size() != size_bytes()) {
    throw InvalidArgumentError("clone_to got " + std::to_string(destination.size()) +
                               " bytes for the tensor " + protocol::quoted(name()) + " of " +
                               std::to_string(size_bytes()));
  }
  std::uint64_t version = 0;
  if (kind() == Kind::kLive) {
    const client::LiveTensor tensor{*connection_, live_header(), name()};
    version = client::copy_whole(tensor, destination, data_, client::Deadline(timeout));
  } else {
    client::copy_bytes(destination.data(), data_, destination.size());
  }
  connection_->counters().bytes_copied_out.fetch_add(destination.size(), std::memory_order_relaxed);
  return version;
}

}  // namespace tensord
