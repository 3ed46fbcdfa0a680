// copy_bytes: memcpy for tensors, in the way that is quickest for this many bytes and for what lies behind
// the destination. docs/decisions/copy-engine.md has the figures behind the choice.
//
//   size            pages are there                     pages of a segment, not mapped by this process yet
//   below 4 MiB     memcpy                              pwrite the first time; then mapped, many at once
//   from 4 MiB      memcpy, shared among threads        the same
//   from 8 MiB      streaming stores, shared            from 16 MiB shared: one thread calls pwrite, which
//   takes
//                                                       turns on a file, the others map their slices
// Private memory that nobody has touched yet is copied to by memcpy at any size: the kernel clears each page
// into the cache right before.
// Threads  any. Helping threads are those of client/copy_workers.
#pragma once

#include <cstddef>

#include "client/page_state.hpp"

namespace tensord::client {

// From this size on several threads copy.
inline constexpr std::size_t kSharedCopyBytes = std::size_t{4} << 20;
// From this size on the stores bypass the cache.
inline constexpr std::size_t kStreamingCopyBytes = std::size_t{8} << 20;
// From this size on several threads fill pages that are not mapped.
inline constexpr std::size_t kSharedFillBytes = std::size_t{16} << 20;

// Copies like memcpy. The bytes are visible to whoever learns of them by a later release.
void copy_bytes(void* destination, const void* source, std::size_t size_bytes);

// Where the bytes of a tensor go, in the writable mapping of a segment.
struct Destination {
  std::byte* data = nullptr;
  PageState* pages = nullptr;
};

// The same, into a segment.
void copy_bytes(const Destination& place, const void* source, std::size_t size_bytes);

}  // namespace tensord::client
