// Memfd: anonymous shared memory that nobody can shrink, grow or find by name.
//
// It models Boost.Interprocess' memory-mappable concept (get_mapping_handle), so that
// boost::interprocess::mapped_region maps it like any other shared-memory object.
// Fails  with std::system_error; reserve() with ENOSPC or ENOMEM when there is no memory, which
//        then never shows up as a SIGBUS later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include "os/unique_fd.hpp"

namespace tensord::os {

class Memfd {
 public:
  Memfd() = default;
  // Takes over a received descriptor. The size comes from the kernel, not from the peer.
  // Throws std::system_error if it is no memfd sealed against shrinking: mapping one that can
  // shrink would let the peer kill this process by SIGBUS.
  static Memfd adopt_sealed(UniqueFd fd);

  // `size_bytes` of zeroes, mode 0600, not yet sealed and with no memory behind it.
  // `label` shows up in /proc/<pid>/maps only.
  static Memfd create(const char* label, std::size_t size_bytes);
  // Puts memory behind a range, so that writing it cannot fail any more.
  void reserve(std::size_t offset_bytes, std::size_t size_bytes) const;
  // From here on the size is fixed, for everybody and for ever.
  void seal_size() const;

  // A descriptor through which nobody can write, map writable, or punch holes.
  [[nodiscard]] UniqueFd open_read_only() const;
  // A second descriptor with the rights of this one.
  [[nodiscard]] UniqueFd duplicate() const;
  // From now on this descriptor has the rights of `other`, which is of the same memory. Its number stays, and
  // who uses it meanwhile notices nothing.
  void take_rights_of(const Memfd& other) const;
  // Hands the descriptor over; mappings made of it stay.
  [[nodiscard]] UniqueFd release() && { return std::move(fd_); }
  // Bytes that have memory behind them, through the descriptor: whoever maps them sees them change.
  void write(std::size_t offset_bytes, std::span<const std::byte> bytes) const noexcept;
  // Gives the memory behind a range back to the system now, whoever still maps it. What is read there is
  // zero then.
  void discard(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint64_t inode() const;
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }

  [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const {
    return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd_.get());
  }

 private:
  Memfd(UniqueFd fd, std::size_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}

  UniqueFd fd_;
  std::size_t size_bytes_ = 0;
};

}  // namespace tensord::os
