#include "client/copy.hpp"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tensord::client {

#if defined(__SSE2__)

namespace {

void copy_streaming(std::byte* destination, const std::byte* source, std::size_t size_bytes) {
  // Streaming stores want aligned lines; tensord's tensors start on one, other memory may not.
  const std::size_t head = (64 - reinterpret_cast<std::uintptr_t>(destination) % 64) % 64;
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

}  // namespace

void copy_bytes(void* destination, const void* source, std::size_t size_bytes) {
  if (size_bytes == 0) return;  // the source of an empty tensor may be null
  if (size_bytes < kStreamingCopyBytes) {
    std::memcpy(destination, source, size_bytes);
  } else {
    copy_streaming(static_cast<std::byte*>(destination), static_cast<const std::byte*>(source), size_bytes);
  }
}

#else

void copy_bytes(void* destination, const void* source, std::size_t size_bytes) {
  if (size_bytes != 0) std::memcpy(destination, source, size_bytes);
}

#endif

}  // namespace tensord::client
