// A View reads shape, strides and dtype straight from its slot: while the pin holds, the daemon
// does not touch them, so there is nothing to copy.
#include <tensord/view.hpp>

#include <cassert>
#include <cstring>
#include <utility>

#include "client/connection.hpp"
#include "client/copy.hpp"
#include "protocol/tensor_spec.hpp"
#include "shm/slot.hpp"

namespace tensord {

View::View(std::shared_ptr<client::Connection> connection, const shm::Slot* slot, std::byte* data,
           std::uint32_t index, Mode mode) noexcept
    : connection_(std::move(connection)), slot_(slot), data_(data), index_(index), mode_(mode) {}

View::View(const View& other)
    : connection_(other.connection_),
      slot_(other.slot_),
      data_(other.data_),
      index_(other.index_),
      mode_(other.mode_) {
  if (slot_ != nullptr) connection_->pin_again(index_);
}

View& View::operator=(View other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(slot_, other.slot_);
  std::swap(data_, other.data_);
  std::swap(index_, other.index_);
  std::swap(mode_, other.mode_);
  return *this;
}

void View::reset() noexcept {
  if (slot_ == nullptr) return;
  connection_->release(index_);
  slot_ = nullptr;
  data_ = nullptr;
  connection_.reset();
}

std::string_view View::name() const { return {slot_->name, slot_->name_size}; }
DType View::dtype() const { return slot_->dtype; }
Kind View::kind() const { return static_cast<Kind>(slot_->kind); }
int View::ndim() const { return slot_->ndim; }
std::span<const std::int64_t> View::shape() const { return {slot_->shape, slot_->ndim}; }
std::span<const std::int64_t> View::strides() const { return {slot_->strides, slot_->ndim}; }
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
  if (!protocol::is_contiguous(shape(), strides())) {
    throw InvalidArgumentError("the elements of " + protocol::quoted(name()) +
                               " are not C-contiguous: use data(), shape() and strides()");
  }
}

std::shared_ptr<std::byte> View::map_private() const { return connection_->map_private(*this); }

void View::clone_to(std::span<std::byte> destination) const {
  if (destination.size() != size_bytes()) {
    throw InvalidArgumentError("clone_to got " + std::to_string(destination.size()) +
                               " bytes for the tensor " + protocol::quoted(name()) + " of " +
                               std::to_string(size_bytes()));
  }
  client::copy_bytes(destination.data(), data_, destination.size());
  connection_->counters().bytes_copied_out.fetch_add(destination.size(), std::memory_order_relaxed);
}

}  // namespace tensord
