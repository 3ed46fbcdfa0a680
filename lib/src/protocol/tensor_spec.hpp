// TensorSpec and the rules for names: what a tensor may be. Both sides apply the same rules: the
// client for an early, clear error, the daemon because it trusts no client.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <tensord/array.hpp>
#include <tensord/dtype.hpp>
#include <tensord/layout.hpp>
#include <tensord/view.hpp>

#include "result.hpp"

namespace tensord::protocol {

struct TensorSpec {
  DType dtype{};
  std::uint32_t ndim = 0;
  std::int64_t shape[kMaxDims] = {};    // elements
  std::int64_t strides[kMaxDims] = {};  // elements
};

// C-contiguous. Fails with kLimitReached (too many dimensions), kInvalidArgument (a negative
// extent, a size that overflows), kUnsupportedType.
[[nodiscard]] Result<TensorSpec> make_contiguous_spec(DType dtype, std::span<const std::int64_t> shape);

// Of any strides but negative ones. Fails as above.
[[nodiscard]] Result<TensorSpec> make_spec(DType dtype, std::span<const std::int64_t> shape,
                                           std::span<const std::int64_t> strides);
// The same for strides that are positive and let no two elements share a place.
[[nodiscard]] Result<TensorSpec> make_strided_spec(DType dtype, std::span<const std::int64_t> shape,
                                                   std::span<const std::int64_t> strides);
// What a copy of `array` is stored as: with packed_strides() of its strides. Fails as above.
[[nodiscard]] Result<TensorSpec> make_packed_spec(const Array& array);

// The bytes from the first element to the end of the last; 0 if there are no elements.
// Fails as above, and for negative strides or extents that reach past 2^62 bytes.
[[nodiscard]] Result<std::uint64_t> extent_bytes(const TensorSpec& spec);

// The bytes that the address of an element is a multiple of: those of an element, of complex numbers those of
// a part. REQUIRES: a supported dtype.
[[nodiscard]] std::size_t alignment_of(DType dtype);

// The rules: 1 to 255 bytes of valid UTF-8 without control characters; parts between slashes are
// not empty. Fails with kInvalidArgument, saying which rule was broken.
[[nodiscard]] Result<Done> check_name(std::string_view name);

// The part of a name before its first slash, or "default".
[[nodiscard]] std::string_view namespace_of(std::string_view name);

// A name as it may appear in an error or a log: quoted, with everything unprintable escaped, and cut
// when it is longer than a name can be.
[[nodiscard]] std::string quoted(std::string_view text_untrusted);

}  // namespace tensord::protocol
