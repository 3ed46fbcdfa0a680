// 16 bytes at a time, on purpose: 32 and 64 were no faster in any size (docs/decisions/copy-engine.md),
// because it is the memory that is waited for. So every x86-64 runs the same code.
#include "client/streaming_copy.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tensord::client {

#if defined(__SSE2__)

void copy_streaming(std::byte* destination, const std::byte* source, std::size_t size_bytes) {
  // Streaming stores want aligned lines; tensord's tensors start on one, other memory may not.
  const std::size_t to_line = (64 - reinterpret_cast<std::uintptr_t>(destination) % 64) % 64;
  const std::size_t head = std::min(to_line, size_bytes);
  std::memcpy(destination, source, head);
  destination += head, source += head, size_bytes -= head;

  const std::size_t lines = size_bytes / 64;
  for (std::size_t i = 0; i < lines; ++i, destination += 64, source += 64) {
    const auto* from = reinterpret_cast<const __m128i*>(source);
    auto* to = reinterpret_cast<__m128i*>(destination);
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a), _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c), _mm_stream_si128(to + 3, d);
  }
  // Streaming stores are not ordered by a later release; this is.
  _mm_sfence();
  std::memcpy(destination, source, size_bytes % 64);
}

#else

void copy_streaming(std::byte* destination, const std::byte* source, std::size_t size_bytes) {
  std::memcpy(destination, source, size_bytes);
}

#endif

}  // namespace tensord::client
