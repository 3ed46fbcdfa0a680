// A View reads shape, strides and dtype straight from its slot: while the pin holds, the daemon
// does not touch them, so there is nothing to copy.
#include <tensord/view.hpp>

#include <algorithm>
#include <utility>

#include <tensord/layout.hpp>

#include "client/broken_daemon.hpp"
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

std::size_t View::extent_bytes() const { return sound().extent_bytes; }

// Attaching looks at no shape, for it has nanoseconds and shapes lie elsewhere. So whoever is about to touch
// the elements asks here, and uses what was looked at: the catalog is the daemon's, and may change.
View::Sound View::sound() const {
  Sound found;
  const std::uint8_t ndim = std::min(ndim_, std::uint8_t{kMaxDims});
  found.dtype = slot_->dtype;
  found.shape.ndim = found.strides.ndim = ndim;
  std::copy_n(layout_->shape, ndim, found.shape.values.begin());
  std::copy_n(layout_->strides, ndim, found.strides.values.begin());
  const auto spec = protocol::make_spec(found.dtype, found.shape, found.strides);
  const std::byte* const base = segment_base();
  const auto offset = reinterpret_cast<std::uintptr_t>(data_) - reinterpret_cast<std::uintptr_t>(base);
  const std::size_t segment_bytes = connection_->segment_of(*slot_).size_bytes();
  if (spec && base != nullptr && offset <= segment_bytes) {
    found.extent_bytes = protocol::extent_bytes(spec.value()).value();
    const bool is_aligned =
        reinterpret_cast<std::uintptr_t>(data_) % protocol::alignment_of(found.dtype) == 0;
    if (is_aligned && found.extent_bytes <= segment_bytes - offset) return found;
  }
  client::throw_broken_daemon("the catalog's entry for " + protocol::quoted(name()) +
                              " describes no tensor that lies in its segment");
}

std::int64_t View::numel() const { return count_elements(shape()); }

Location View::location() const {
  const client::Segment& segment = connection_->segment_of(*slot_);
  return {segment.id(), segment.inode(), static_cast<std::uint64_t>(data_ - segment_base())};
}

std::byte* View::segment_base() const {
  return connection_->segment_of(*slot_).base(mode_ == Mode::kReadWrite);
}

void View::populate() const { os::populate({data_, sound().extent_bytes}); }

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
                               std::string(dtype_name(dtype)) + ": ask for what it holds");
  }
}

std::size_t View::require_elements(DType dtype) const {
  require_dtype(dtype);
  const Sound own = sound();
  if (!is_contiguous(own.shape, own.strides)) {
    throw InvalidArgumentError("the elements of " + protocol::quoted(name()) +
                               " are not C-contiguous: use data(), shape() and strides()");
  }
  return static_cast<std::size_t>(count_elements(own.shape));
}

std::shared_ptr<std::byte> View::map_private() const { return connection_->map_private(*this); }

std::uint64_t View::clone_to(std::span<std::byte> destination, std::chrono::nanoseconds timeout) const {
  const Sound own = sound();
  return copy_out(own, destination, packed_strides(own.shape, own.strides), is_dense(own.shape, own.strides),
                  timeout);
}

std::uint64_t View::read(std::span<std::byte> destination, std::chrono::nanoseconds timeout) const {
  const Sound own = sound();
  return copy_out(own, destination, c_strides(own.shape), is_contiguous(own.shape, own.strides), timeout);
}

std::uint64_t View::copy_out(const Sound& own, std::span<std::byte> destination,
                             std::span<const std::int64_t> destination_strides, bool as_it_lies,
                             std::chrono::nanoseconds timeout) const {
  const std::size_t wanted_bytes = static_cast<std::size_t>(count_elements(own.shape)) * own.dtype.itemsize();
  if (destination.size() != wanted_bytes) {
    throw InvalidArgumentError("a copy of the tensor " + protocol::quoted(name()) + " takes " +
                               std::to_string(wanted_bytes) + " bytes; the destination has " +
                               std::to_string(destination.size()) + ", and must have as many");
  }
  const auto copy = [&] {
    if (as_it_lies) {
      client::copy_bytes(destination.data(), data_, destination.size());
    } else {
      client::copy_strided(destination.data(), destination_strides, data_, own.strides, own.shape,
                           own.dtype.itemsize());
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
