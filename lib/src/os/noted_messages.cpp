#include "os/noted_messages.hpp"

#if defined(TENSORD_CRASH_POINTS)

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>

namespace tensord::os {
namespace {

// By hash, so that no lock is held when a test forks; that two texts share one is rare, and costs a line.
std::array<std::atomic<bool>, 4096> noted;

}  // namespace

void note_message(std::string_view text) noexcept {
  const char* const path = std::getenv("TENSORD_MESSAGES");
  if (path == nullptr || noted[std::hash<std::string_view>{}(text) % noted.size()].exchange(true)) return;
  try {
    std::string line(text);
    std::ranges::replace(line, '\n', ' ');
    line += '\n';
    const int fd = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return;
    ::fchmod(fd, 0666);  // tests become other users; it is allowed to whoever made the file, which is enough
    [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
    ::close(fd);
  } catch (const std::bad_alloc&) {
    // A test without memory has other things to say.
  }
}

}  // namespace tensord::os

#endif
