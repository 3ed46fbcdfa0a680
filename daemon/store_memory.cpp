#include "store_memory.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <tensord/version.hpp>

#include "os/pages.hpp"

namespace tensord::daemon {
namespace {

namespace bip = boost::interprocess;

template <class T>
T random_value() {
  T value{};
  if (::getrandom(&value, sizeof value, 0) != sizeof value) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  return value;
}

os::Memfd make_sealed(const char* label, std::size_t size_bytes) {
  os::Memfd memfd = os::Memfd::create(label, size_bytes);
  memfd.seal_size();
  return memfd;
}

}  // namespace

bool was_ended(const Inherited& inherited) {
  const bip::mapped_region region = os::map(inherited.book, bip::read_write);
  const auto book = Book::open({static_cast<std::byte*>(region.get_address()), region.get_size()});
  return book && book->header().ended.load(std::memory_order_acquire) != 0;
}

StoreMemory::StoreMemory(std::uint32_t slot_count, ServiceManager& manager)
    : catalog_(make_sealed("tensord-catalog", shm::catalog_size_bytes(slot_count))),
      book_(make_sealed("tensord-book", book_size_bytes(slot_count))),
      catalog_region_(os::map(catalog_, bip::read_write)),
      book_region_(os::map(book_, bip::read_write)) {
  shm::CatalogWriter(catalog_bytes(), slot_count, random_value<std::uint64_t>(),
                     random_value<std::array<std::uint8_t, 16>>());
  Book::begin(bytes_of(book_region_), slot_count);
  for (const auto& [name, memfd] : {std::pair{&kKeptCatalog, &catalog_}, std::pair{&kKeptBook, &book_}}) {
    if (const Result<Done> kept = manager.keep(*name, std::array{memfd->fd()}); !kept) {
      throw std::runtime_error(kept.failure().text);
    }
  }
}

StoreMemory::StoreMemory(Inherited& inherited)
    : catalog_(std::move(inherited.catalog)),
      book_(std::move(inherited.book)),
      catalog_region_(os::map(catalog_, bip::read_write)),
      book_region_(os::map(book_, bip::read_write)) {
  const std::optional<Book> book = Book::open(bytes_of(book_region_));
  if (!book || !shm::CatalogWriter::reopen(catalog_bytes()) || book->slot_count() != header().slot_count) {
    throw std::runtime_error(
        "the store that is kept was made by a tensord of another layout, which tensord " +
        std::string(kVersion) + " (layout " + std::to_string(shm::kLayoutVersion) + ", book " +
        std::to_string(kBookVersion) +
        ") cannot take over; nothing of it is lost: start the version that made it, or stop the service "
        "(systemctl "
        "stop, or SIGTERM to `tensord --keep`), which ends that store");
  }
}

shm::CatalogWriter StoreMemory::catalog_writer() const {
  return *shm::CatalogWriter::reopen(catalog_bytes());
}
Book StoreMemory::open_book() const { return *Book::open(bytes_of(book_region_)); }

}  // namespace tensord::daemon
