#include "os/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#ifndef MFD_NOEXEC_SEAL  // Linux 6.3; glibc 2.36 does not know it yet
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace tensord::os {
namespace {

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Memfd Memfd::create(const char* label, std::size_t size_bytes) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = ::memfd_create(label, kFlags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = ::memfd_create(label, kFlags);  // a kernel before 6.3
  if (fd < 0) throw_errno("memfd_create");
  UniqueFd owned(fd);
  // A memfd is born 0777: whoever gets a read-only descriptor of it could re-open it for writing.
  if (::fchmod(fd, 0600) != 0) throw_errno("fchmod of a memfd");
  if (::ftruncate(fd, static_cast<off_t>(size_bytes)) != 0) throw_errno("ftruncate of a memfd");
  return Memfd(std::move(owned), size_bytes);
}

Memfd Memfd::adopt_sealed(UniqueFd fd) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    throw std::system_error(EINVAL, std::generic_category(), "the received descriptor is no sealed memfd");
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("fstat of a memfd");
  return Memfd(std::move(fd), static_cast<std::size_t>(status.st_size));
}

void Memfd::reserve(std::size_t offset_bytes, std::size_t size_bytes) const {
  while (::fallocate(fd_.get(), 0, static_cast<off_t>(offset_bytes), static_cast<off_t>(size_bytes)) != 0) {
    if (errno != EINTR) throw_errno("fallocate of a memfd");
  }
}

void Memfd::seal_size() const {
  // SEAL itself too, or a holder of a writable descriptor could add F_SEAL_WRITE. No FUTURE_WRITE:
  // it would lock out a restarted daemon (limits.md).
  if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    throw_errno("sealing a memfd");
  }
}

UniqueFd Memfd::open_read_only() const {
  const std::string path = "/proc/self/fd/" + std::to_string(fd_.get());
  UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only) throw_errno("re-opening a memfd read-only");
  return read_only;
}

UniqueFd Memfd::duplicate() const { return os::duplicate(fd_.get()); }

void Memfd::take_rights_of(const Memfd& other) const {
  while (::dup3(other.fd(), fd_.get(), O_CLOEXEC) < 0) {
    if (errno != EINTR && errno != EBUSY) throw_errno("replacing a descriptor");
  }
}

void Memfd::write(std::size_t offset_bytes, std::span<const std::byte> bytes) const noexcept {
  while (::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes)) < 0 &&
         errno == EINTR) {
  }
}

void Memfd::discard(std::size_t offset_bytes, std::size_t size_bytes) const noexcept {
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset_bytes),
              static_cast<off_t>(size_bytes));
}

std::uint64_t Memfd::inode() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw_errno("fstat of a memfd");
  return status.st_ino;
}

}  // namespace tensord::os
