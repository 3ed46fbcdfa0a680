// Allocations: how often this program asks for memory, by `new` in any of its forms. The library's own
// allocations are among them: the program's operators take the place of the standard library's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tensord::test {

struct Allocations {
  std::uint64_t calls = 0;
  std::uint64_t size_bytes = 0;  // asked for, also where it has been given back
};

// Of all threads, since the program began.
[[nodiscard]] Allocations allocations();

// What `body` allocates, if no other thread does so meanwhile.
template <class Body>
Allocations allocations_of(Body&& body) {
  const Allocations before = allocations();
  body();
  const Allocations after = allocations();
  return {after.calls - before.calls, after.size_bytes - before.size_bytes};
}

}  // namespace tensord::test
