// copy_bytes: memcpy for tensors. Beyond the size of a cache it writes past the cache, which saves
// reading what is overwritten anyway: 1.5 times faster from 16 MiB on (shared limits, section 5).
#pragma once

#include <cstddef>

namespace tensord::client {

// From this size on the stores bypass the cache.
inline constexpr std::size_t kStreamingCopyBytes = std::size_t{16} << 20;

// Copies like memcpy. The bytes are visible to whoever learns of them by a later release.
void copy_bytes(void* destination, const void* source, std::size_t size_bytes);

}  // namespace tensord::client
