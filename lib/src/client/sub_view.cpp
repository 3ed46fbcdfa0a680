// Sub-views: a copy of the view, which pins again, with a layout of its own on the heap.
#include <algorithm>
#include <memory>
#include <string>

#include <tensord/view.hpp>

#include "protocol/tensor_spec.hpp"
#include "shm/slot.hpp"

namespace tensord {
namespace {

using protocol::quoted;

std::string text_of(std::span<const std::int64_t> values) {
  std::string text;
  for (const std::int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "(" + text + ")";
}

// Counted from the end if negative, as torch does. Throws if there is no such dimension.
std::size_t dimension(const View& view, int dim) {
  const int counted = dim < 0 ? dim + view.ndim() : dim;
  if (counted < 0 || counted >= view.ndim()) {
    throw InvalidArgumentError("the view of " + quoted(view.name()) + " has " + std::to_string(view.ndim()) +
                               " dimensions, so there is no dimension " + std::to_string(dim));
  }
  return static_cast<std::size_t>(counted);
}

}  // namespace

View View::as_strided(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                      std::int64_t offset) const {
  const protocol::TensorSpec spec = value_or_throw(protocol::make_spec(dtype(), shape, strides));
  const std::uint64_t extent = value_or_throw(protocol::extent_bytes(spec));
  const std::uint64_t room = extent_bytes();
  const std::uint64_t itemsize = dtype().itemsize();
  if (offset < 0 || static_cast<std::uint64_t>(offset) > room / itemsize ||
      extent > room - static_cast<std::uint64_t>(offset) * itemsize) {
    throw InvalidArgumentError("a sub-view of shape " + text_of(shape) + " and strides " + text_of(strides) +
                               " from element " + std::to_string(offset) + " on reaches outside of the " +
                               std::to_string(room) + " bytes of this view of " + quoted(name()));
  }
  auto layout = std::make_unique<shm::Layout>();
  std::ranges::copy(shape, layout->shape);
  std::ranges::copy(strides, layout->strides);
  View sub_view = *this;
  if (sub_view.owns_layout_) delete sub_view.layout_;
  sub_view.layout_ = layout.release();
  sub_view.owns_layout_ = true;
  sub_view.ndim_ = static_cast<std::uint8_t>(shape.size());
  sub_view.data_ += static_cast<std::uint64_t>(offset) * itemsize;
  return sub_view;
}

View View::narrow(int dim, std::int64_t start, std::int64_t length) const {
  const std::size_t d = dimension(*this, dim);
  shm::Layout layout = *layout_;
  const std::int64_t available = layout.shape[d];
  if (start < 0) start += available;
  if (start < 0 || length < 0 || start > available || length > available - start) {
    throw InvalidArgumentError("dimension " + std::to_string(dim) + " of the view of " + quoted(name()) +
                               " has " + std::to_string(available) + " elements; " + std::to_string(length) +
                               " from " + std::to_string(start) + " on are not among them");
  }
  layout.shape[d] = length;
  // Of no elements, none is addressed: an offset could point past the end.
  const std::int64_t offset = numel() == 0 || length == 0 ? 0 : start * layout.strides[d];
  return as_strided({layout.shape, ndim_}, {layout.strides, ndim_}, offset);
}

View View::select(int dim, std::int64_t index) const {
  const std::size_t d = dimension(*this, dim);
  shm::Layout layout = *layout_;
  const std::int64_t available = layout.shape[d];
  const std::int64_t counted = index < 0 ? index + available : index;
  if (counted < 0 || counted >= available) {
    throw InvalidArgumentError("dimension " + std::to_string(dim) + " of the view of " + quoted(name()) +
                               " has " + std::to_string(available) + " elements, so there is no element " +
                               std::to_string(index));
  }
  const std::int64_t offset = numel() == 0 ? 0 : counted * layout.strides[d];
  std::copy(layout.shape + d + 1, layout.shape + ndim_, layout.shape + d);
  std::copy(layout.strides + d + 1, layout.strides + ndim_, layout.strides + d);
  const std::size_t ndim = ndim_ - std::size_t{1};
  return as_strided({layout.shape, ndim}, {layout.strides, ndim}, offset);
}

}  // namespace tensord
