// How much memory lies behind a file.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace tensord::test {

inline std::uint64_t occupied_bytes(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;  // stat(2): of 512 bytes each
}

}  // namespace tensord::test
