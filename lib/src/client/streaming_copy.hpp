// copy_streaming: memcpy past the cache.
//
// An ordinary store first reads the line that it overwrites; a streaming one does not, which saves a third
// of the traffic, and throws nothing else out of the cache. It pays once a copy is larger than what the cache
// would keep of it.
#pragma once

#include <cstddef>

namespace tensord::client {

// Copies like memcpy, for which it is one where the processor has no such stores. The bytes are visible to
// whoever learns of them by a later release.
void copy_streaming(std::byte* destination, const std::byte* source, std::size_t size_bytes);

}  // namespace tensord::client
