// copy_strided: memcpy for tensors whose elements do not follow each other, in one pass, whatever the
// layouts on the two sides: slices, reversals, broadcasts, permuted dimensions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tensord::client {

// Copies each element of `shape` from `source` to `destination`; both point to the element of index
// (0, ..., 0). Strides are in elements; the source's may be negative or 0. Bytes are copied as they are.
// Threads  any. The bytes are visible to whoever learns of them by a later release.
// REQUIRES: three spans of one size, at most kMaxDims; positive destination strides that reach every
// element once (other than of dimensions of one element); memory that does not overlap.
void copy_strided(std::byte* destination, std::span<const std::int64_t> destination_strides,
                  const std::byte* source, std::span<const std::int64_t> source_strides,
                  std::span<const std::int64_t> shape, std::size_t itemsize);

}  // namespace tensord::client
