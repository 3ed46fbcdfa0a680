// Overlap: which arrays have memory in common, so that they can share it in the store, too.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <tensord/array.hpp>

namespace tensord::client {

// A stretch of memory that several arrays have in common, directly or through others.
struct CommonMemory {
  const std::byte* begin = nullptr;  // the lowest byte of all
  std::size_t size_bytes = 0;        // up to the highest
  std::vector<std::size_t> arrays;   // two or more, by their place in the input; lowest first byte first
};

// Arrays overlap when their ranges of memory do, from the lowest to the highest byte of each: two columns of
// one matrix do, two arrays that only touch do not. Arrays without elements overlap with nothing.
[[nodiscard]] std::vector<CommonMemory> find_common_memory(std::span<const Array> arrays);

}  // namespace tensord::client
