#include "os/bell.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace tensord::os {

UniqueFd make_bell() {
  UniqueFd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell) throw std::system_error(errno, std::generic_category(), "eventfd");
  return bell;
}

UniqueFd adopt_bell(UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw std::system_error(errno, std::generic_category(), "fstat");
  // An eventfd has no type that stat() knows.
  if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || S_ISCHR(status.st_mode) ||
      S_ISDIR(status.st_mode)) {
    throw std::system_error(EBADF, std::generic_category(), "not an eventfd");
  }
  return fd;
}

bool ring_bell(int bell) noexcept {
  const std::uint64_t once = 1;
  // A full counter is one that was rung.
  return ::write(bell, &once, sizeof once) == sizeof once || errno == EAGAIN;
}

void hush_bell(int bell) noexcept {
  std::uint64_t count = 0;
  iovec whole{&count, sizeof count};
  // O_NONBLOCK is the other side's to clear, this flag is not.
  (void)::preadv2(bell, &whole, 1, -1, RWF_NOWAIT);
}

}  // namespace tensord::os
