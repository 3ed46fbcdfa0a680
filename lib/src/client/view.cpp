// A View reads shape, strides and dtype straight from its slot: while the pin holds, the daemon
// does not touch them, so there is nothing to copy.
#include <tensord/view.hpp>

#include <utility>

#include <tensord/layout.hpp>

#include "client/connection.hpp"
#include "client/copy.hpp"
#include "client/live.hpp"
#include "client/strided_copy.hpp"
#include "os/pages.hpp"
#include "protocol/tensor_spec.hpp"
#include "shm/catalog.hpp"
#include "shm/slot.hpp"

namespace tensord {

View& View::operator=(View other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(slot_, other.slot_);
  std::swap(layout_, other.layout_);
  std::swap(data_, other.data_);
  std::swap(index_, other.index_);
  std::swap(mode_, other.mode_);
  std::swap(ndim_, other.ndim_);
  std::swap(owns_layout_, other.owns_layout_);
  return *this;
}

std::string_view View::name() const { return connection_->name_of(index_); }
DType View::dtype() const { return slot_->dtype; }
Kind View::kind() const { return static_cast<Kind>(slot_->kind); }
std::span<const std::int64_t> View::shape() const { return {layout_->shape, ndim_}; }
std::span<const std::int64_t> View::strides() const { return {layout_->strides, ndim_}; }

std::uint64_t View::generation() const {
  // A slot counts its own tensors, and there are at most so many slots.
  static_assert(shm::kMaxSlots == 1u << 24);
  return slot_->load_word().generation() << 24 | index_;
}

std::size_t View::size_bytes() const { return static_cast<std::size_t>(numel()) * slot_->dtype.itemsize(); }

std::size_t View::extent_bytes() const {
  if (!owns_layout_) return slot_->size_bytes;
  // Was checked when the sub-view was made.
  return protocol::extent_bytes(protocol::make_spec(dtype(), shape(), strides()).value()).value();
}

std::int64_t View::numel() const { return count_elements(shape()); }

Location View::location() const {
  const client::Segment& segment = connection_->segment_of(*slot_);
  return {segment.id(), segment.inode(), static_cast<std::uint64_t>(data_ - segment_base())};
}

std::byte* View::segment_base() const {
  return connection_->segment_of(*slot_).base(mode_ == Mode::kReadWrite);
}

void View::populate() const { os::populate({data_, extent_bytes()}); }

std::byte* View::mutable_data() const {
  if (mode_ == Mode::kReadWrite) return data_;
  throw PermissionDeniedError("the view of " + protocol::quoted(name()) + " is read-only: " +
                              (kind() == Kind::kLive
                                   ? "attach it \"r+\" to write it, or clone it"
                                   : "sealed tensors never change; clone it to get your own copy"));
}

void View::require_dtype(DType dtype) const {
  if (dtype != slot_->dtype) {
    throw InvalidArgumentError("the tensor " + protocol::quoted(name()) + " holds " +
                               std::string(dtype_name(slot_->dtype)) + ", not " +
                               std::string(dtype_name(dtype)));
  }
}

void View::require_elements(DType dtype) const {
  require_dtype(dtype);
  if (!is_contiguous(shape(), strides())) {
    throw InvalidArgumentError("the elements of " + protocol::quoted(name()) +
                               " are not C-contiguous: use data(), shape() and strides()");
  }
}

std::shared_ptr<std::byte> View::map_private() const { return connection_->map_private(*this); }

std::uint64_t View::clone_to(std::span<std::byte> destination, std::chrono::nanoseconds timeout) const {
  return copy_out(destination, packed_strides(shape(), strides()), is_dense(shape(), strides()), timeout);
}

std::uint64_t View::read(std::span<std::byte> destination, std::chrono::nanoseconds timeout) const {
  return copy_out(destination, c_strides(shape()), is_contiguous(shape(), strides()), timeout);
}

std::uint64_t View::copy_out(std::span<std::byte> destination,
                             std::span<const std::int64_t> destination_strides, bool as_it_lies,
                             std::chrono::nanoseconds timeout) const {
  if (destination.size() != size_bytes()) {
    throw InvalidArgumentError("a copy of the tensor " + protocol::quoted(name()) + " takes " +
                               std::to_string(size_bytes()) + " bytes, the destination has " +
                               std::to_string(destination.size()));
  }
  const auto copy = [&] {
    if (as_it_lies) {
      client::copy_bytes(destination.data(), data_, destination.size());
    } else {
      client::copy_strided(destination.data(), destination_strides, data_, strides(), shape(),
                           dtype().itemsize());
    }
  };
  std::uint64_t version = 0;
  if (kind() == Kind::kLive) {
    version = client::copy_whole(live_tensor(), copy, client::Deadline(timeout));
  } else {
    copy();
  }
  connection_->counters().bytes_copied_out.fetch_add(destination.size(), std::memory_order_relaxed);
  return version;
}

}  // namespace tensord
