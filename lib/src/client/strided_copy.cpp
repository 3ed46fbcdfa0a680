// First the layouts are made simple: dimensions that say nothing go, and dimensions that follow each
// other on both sides become one, ordered by the destination, so that it is written from front to back.
// What is left has one of three forms:
//   rows       the innermost dimension is without gaps on both sides: copy_bytes for each row
//   items      single elements; the innermost dimension of the destination is the source's too, or
//              there is only one: a loop of loads and stores
//   transpose  the source's innermost dimension is another one. Either side alone would be walked in
//              long steps, with one element used of each cache line. So a tile goes into a buffer
//              along the source, and from there to its place along the destination; cache lines whose
//              distance is a power of two throw each other out of the cache only after they were used.
#include "client/strided_copy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <tensord/layout.hpp>

#include "client/copy.hpp"

namespace tensord::client {
namespace {

// One dimension of both sides; steps in bytes.
struct Dim {
  std::int64_t extent = 1;
  std::int64_t to_step = 0;
  std::int64_t from_step = 0;
};

// All dimensions, outermost first.
struct Dims {
  std::array<Dim, kMaxDims> values;
  int count = 0;

  void push(Dim dim) { values[count++] = dim; }
  Dim pop() { return values[--count]; }
  [[nodiscard]] Dim& back() { return values[count - 1]; }
  [[nodiscard]] std::span<Dim> all() { return {values.data(), static_cast<std::size_t>(count)}; }
};

Dims simplified(std::span<const std::int64_t> shape, std::span<const std::int64_t> to_strides,
                std::span<const std::int64_t> from_strides, std::size_t itemsize) {
  const auto item = static_cast<std::int64_t>(itemsize);
  Dims dims;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1) dims.push({shape[i], to_strides[i] * item, from_strides[i] * item});
  }
  std::sort(dims.all().begin(), dims.all().end(),
            [](const Dim& a, const Dim& b) { return a.to_step > b.to_step; });
  Dims merged;
  for (const Dim& inner : dims.all()) {
    if (merged.count != 0) {
      Dim& outer = merged.back();
      if (outer.to_step == inner.extent * inner.to_step &&
          outer.from_step == inner.extent * inner.from_step) {
        outer = {outer.extent * inner.extent, inner.to_step, inner.from_step};
        continue;
      }
    }
    merged.push(inner);
  }
  return merged;
}

// Calls copy(to, from) for each index of `dims`.
template <class Copy>
void for_each(std::span<const Dim> dims, std::byte* to, const std::byte* from, const Copy& copy) {
  if (dims.empty()) return copy(to, from);
  const Dim outer = dims.front();
  for (std::int64_t i = 0; i < outer.extent; ++i) {
    for_each(dims.subspan(1), to + i * outer.to_step, from + i * outer.from_step, copy);
  }
}

// An item of kSize bytes, wherever it lies: memcpy of a constant size is one load or store.
template <std::size_t kSize>
void copy_item(std::byte* to, const std::byte* from) {
  std::memcpy(to, from, kSize);
}

// The same item `count` times, one after the other: by cache lines, that the compiler keeps in registers.
template <std::size_t kSize>
void repeat_item(std::byte* to, const std::byte* from, std::int64_t count) {
  constexpr std::size_t kLine = 64;
  std::byte line[kLine];
  for (std::size_t i = 0; i < kLine; i += kSize) copy_item<kSize>(line + i, from);
  std::size_t left = static_cast<std::size_t>(count) * kSize;
  for (; left >= kLine; left -= kLine, to += kLine) std::memcpy(to, line, kLine);
  std::memcpy(to, line, left);
}

template <std::size_t kSize>
void copy_items(std::byte* to, std::int64_t to_step, const std::byte* from, std::int64_t from_step,
                std::int64_t count) {
  constexpr std::int64_t kItem = kSize;
  if (to_step != kItem) {
    for (std::int64_t i = 0; i < count; ++i) copy_item<kSize>(to + i * to_step, from + i * from_step);
  } else if (from_step == kItem) {
    std::memcpy(to, from, static_cast<std::size_t>(count * kItem));
  } else if (from_step == 0) {
    repeat_item<kSize>(to, from, count);
  } else {
    for (std::int64_t i = 0; i < count; ++i) copy_item<kSize>(to + i * kItem, from + i * from_step);
  }
}

// ---- transposing ------------------------------------------------------------------------------

// Bytes of a tile: with what it is copied from and to, it fits into the smallest first-level caches.
constexpr std::int64_t kTileBytes = 8192;

// `across` is the source's innermost dimension, `along` the destination's.
template <std::size_t kSize>
void copy_transposed(std::byte* to, const std::byte* from, const Dim& across, const Dim& along) {
  constexpr std::int64_t kItem = kSize;
  constexpr std::int64_t kItems = kTileBytes / kItem;
  // As square as it gets; when one side is short, the other becomes longer.
  constexpr std::int64_t kSide = 1 << (std::bit_width(std::size_t{kItems}) - 1) / 2;
  const std::int64_t width = std::min(across.extent, std::max(kSide, kItems / std::min(along.extent, kSide)));
  const std::int64_t height = std::min(along.extent, kItems / width);
  // A tile of few columns may lie together already: then it is as good as a buffer.
  const bool near = height * std::abs(along.from_step) <= 2 * kTileBytes;
  alignas(64) std::byte tile[kTileBytes];
  for (std::int64_t j0 = 0; j0 < along.extent; j0 += height) {
    const std::int64_t rows = std::min(height, along.extent - j0);
    for (std::int64_t i0 = 0; i0 < across.extent; i0 += width) {
      const std::int64_t columns = std::min(width, across.extent - i0);
      const std::byte* const corner = from + j0 * along.from_step + i0 * across.from_step;
      std::byte* const target = to + j0 * along.to_step + i0 * across.to_step;
      if (near) {
        for (std::int64_t i = 0; i < columns; ++i) {
          copy_items<kSize>(target + i * across.to_step, along.to_step, corner + i * across.from_step,
                            along.from_step, rows);
        }
        continue;
      }
      for (std::int64_t j = 0; j < rows; ++j) {
        copy_items<kSize>(tile + j * columns * kItem, kItem, corner + j * along.from_step, across.from_step,
                          columns);
      }
      for (std::int64_t i = 0; i < columns; ++i) {
        copy_items<kSize>(target + i * across.to_step, along.to_step, tile + i * kItem, columns * kItem,
                          rows);
      }
    }
  }
}

// The dimension along which the source's elements are nearest to each other, steps of 0 aside. That of
// `along` if it is as near as any.
int nearest_of_source(std::span<const Dim> dims) {
  const int along = static_cast<int>(dims.size()) - 1;
  int nearest = along;
  for (int i = along; i-- > 0;) {
    const std::int64_t step = std::abs(dims[i].from_step);
    if (step != 0 && step < std::abs(dims[nearest].from_step)) nearest = i;
  }
  return nearest;
}

template <std::size_t kSize>
void copy_all_items(std::byte* to, const std::byte* from, Dims dims) {
  if (dims.count == 0) return copy_item<kSize>(to, from);
  const int nearest = nearest_of_source(dims.all());
  const Dim along = dims.pop();
  if (nearest == dims.count) {
    for_each(dims.all(), to, from, [&](std::byte* row, const std::byte* source) {
      copy_items<kSize>(row, along.to_step, source, along.from_step, along.extent);
    });
    return;
  }
  const Dim across = dims.values[nearest];
  std::copy(dims.values.begin() + nearest + 1, dims.values.begin() + dims.count,
            dims.values.begin() + nearest);
  dims.pop();
  for_each(dims.all(), to, from, [&](std::byte* corner, const std::byte* source) {
    copy_transposed<kSize>(corner, source, across, along);
  });
}

}  // namespace

void copy_strided(std::byte* destination, std::span<const std::int64_t> destination_strides,
                  const std::byte* source, std::span<const std::int64_t> source_strides,
                  std::span<const std::int64_t> shape, std::size_t itemsize) {
  if (count_elements(shape) == 0) return;
  Dims dims = simplified(shape, destination_strides, source_strides, itemsize);
  std::size_t unit = itemsize;
  const auto item = static_cast<std::int64_t>(itemsize);
  if (dims.count != 0 && dims.back().to_step == item && dims.back().from_step == item) {
    unit = itemsize * static_cast<std::size_t>(dims.pop().extent);
  }
  // Short rows of a machine's sizes are items as good as any.
  switch (dims.count == 0 ? 0 : unit) {
    case 1: return copy_all_items<1>(destination, source, dims);
    case 2: return copy_all_items<2>(destination, source, dims);
    case 4: return copy_all_items<4>(destination, source, dims);
    case 8: return copy_all_items<8>(destination, source, dims);
    case 16: return copy_all_items<16>(destination, source, dims);
    default:
      for_each(dims.all(), destination, source,
               [&](std::byte* to, const std::byte* from) { copy_bytes(to, from, unit); });
  }
}

}  // namespace tensord::client
