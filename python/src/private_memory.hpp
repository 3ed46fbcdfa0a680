// PrivateMemory: bytes for a private copy, without Python in their end, as aligned as DLPack asks for.
//
// Large ones lie on huge pages where the kernel gives them, as NumPy's arrays do: to clear and map 4 KiB at a
// time takes several times as long as the copy.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace tensord::python {

struct DeletePrivateMemory {
  std::align_val_t alignment;
  void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
};
using PrivateMemory = std::unique_ptr<std::byte, DeletePrivateMemory>;

// Not initialised. Throws std::bad_alloc.
[[nodiscard]] PrivateMemory make_private_memory(std::size_t size_bytes);

}  // namespace tensord::python
