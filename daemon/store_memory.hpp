// StoreMemory: catalog and book, made for a new store or taken over from the daemon before.
//
// Owns  both memfds and their mappings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <boost/interprocess/mapped_region.hpp>

#include "book.hpp"
#include "inherited.hpp"
#include "os/memfd.hpp"
#include "service_manager.hpp"
#include "shm/catalog.hpp"

namespace tensord::daemon {

// Whether the store that this is was stopped, so that nobody wants it any more.
[[nodiscard]] bool was_ended(const Inherited& inherited);

class StoreMemory {
 public:
  // Of a new store, and kept by the manager. Throws std::runtime_error.
  StoreMemory(std::uint32_t slot_count, ServiceManager& manager);
  // Throws std::runtime_error if it is of a version that this daemon does not know.
  explicit StoreMemory(Inherited& inherited);

  [[nodiscard]] const os::Memfd& catalog() const { return catalog_; }
  [[nodiscard]] std::span<std::byte> catalog_bytes() const { return bytes_of(catalog_region_); }
  [[nodiscard]] const shm::CatalogHeader& header() const {
    return *static_cast<const shm::CatalogHeader*>(catalog_region_.get_address());
  }
  // REQUIRES: each at most once.
  [[nodiscard]] shm::CatalogWriter catalog_writer() const;
  [[nodiscard]] Book open_book() const;

 private:
  static std::span<std::byte> bytes_of(const boost::interprocess::mapped_region& region) {
    return {static_cast<std::byte*>(region.get_address()), region.get_size()};
  }

  os::Memfd catalog_;
  os::Memfd book_;
  boost::interprocess::mapped_region catalog_region_;
  boost::interprocess::mapped_region book_region_;
};

}  // namespace tensord::daemon
