// Layout: how the elements of a tensor lie, as a shape and strides, both in elements and outermost
// dimension first, as in NumPy and torch.
//
// Two things are free everywhere: the stride of a dimension of one element, which nobody ever takes,
// and all strides of a tensor without elements. No strides at all (an empty span) mean C order, as in
// DLPack. Other than that, REQUIRES: strides.size() == shape.size() <= kMaxDims, and no negative extents.
// Threads  any: these are functions of their arguments. They allocate nothing and never fail.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tensord {

inline constexpr int kMaxDims = 16;  // dimensions of a tensor, at most

// Strides that were worked out, by value. Use as a span.
struct Strides {
  std::array<std::int64_t, kMaxDims> values{};
  std::size_t ndim = 0;

  [[nodiscard]] std::span<const std::int64_t> span() const { return {values.data(), ndim}; }
  operator std::span<const std::int64_t>() const { return span(); }  // NOLINT: it is one
};

// How many elements a tensor of this shape has; INT64_MAX if they are more than 64 bits can count.
[[nodiscard]] std::int64_t count_elements(std::span<const std::int64_t> shape);

// Whether the elements follow each other in C order: last index fastest.
[[nodiscard]] bool is_contiguous(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides);

// Whether they follow each other in some order of the dimensions, each element once, without gaps:
// C order, Fortran order, and every permutation of a tensor in one of them.
[[nodiscard]] bool is_dense(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides);

// The strides of C order. Of a dimension without elements they are those of one element, as in NumPy.
// Strides that 64 bits cannot hold are INT64_MAX; such a tensor fits no memory.
[[nodiscard]] Strides c_strides(std::span<const std::int64_t> shape);

// The strides of a copy that has no gaps and keeps the order of the dimensions in memory: dense strides
// as they are, others as torch.empty_like and NumPy's order "K" make them. In detail: dimensions are
// ordered by the magnitude of their strides, so that a reversed dimension keeps its place and becomes
// positive; of equal ones the longer is the outer; a dimension of stride 0 (broadcast) stays where C
// order has it, as in torch (NumPy makes it the innermost). What is free becomes that of C order,
// unless it is positive already and its tensor dense. The result is_dense(); too large strides as above.
[[nodiscard]] Strides packed_strides(std::span<const std::int64_t> shape,
                                     std::span<const std::int64_t> strides);

}  // namespace tensord
