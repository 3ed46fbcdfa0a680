#include "catch.hpp"

#include <cstddef>
#include <functional>
#include <vector>

#include "catalog_pages.hpp"
#include "zeroed_memory.hpp"

using namespace tensord;
using tensord::daemon::CatalogPages;
using tensord::test::ZeroedMemory;

namespace {

struct Fixture {
  explicit Fixture(std::size_t size_bytes) : memory(size_bytes) {}
  void reach(std::size_t slot) { pages.reach(slot); }
  ZeroedMemory memory;
  std::vector<std::function<void()>> work;
  // Slots begin in the middle of the fourth huge page.
  CatalogPages pages{memory.bytes(), 3 * os::kHugePageBytes + 4096,
                     [this](std::function<void()> piece) { work.push_back(std::move(piece)); }};
};

}  // namespace

TEST_CASE("the catalog of a small store is left alone", "[catalog_pages]") {
  Fixture fixture(8 * os::kHugePageBytes);
  for (std::size_t slot = 0; slot < CatalogPages::kManySlots; ++slot) fixture.reach(slot);
  CHECK(fixture.work.empty());
}

TEST_CASE("a store of many tensors has what lies before its last slot on huge pages, piece by piece",
          "[catalog_pages]") {
  Fixture fixture(8 * os::kHugePageBytes);
  fixture.reach(CatalogPages::kManySlots);
  CHECK(fixture.work.size() == 5);  // the index, the first slots, and the piece that this one is in
  fixture.reach(CatalogPages::kManySlots + 1);
  fixture.reach(0);  // used again
  CHECK(fixture.work.size() == 5);
  fixture.reach(2 * CatalogPages::kManySlots);
  CHECK(fixture.work.size() == 6);
  CHECK(fixture.pages.done_bytes() == 6 * os::kHugePageBytes);
}

TEST_CASE("the end of a catalog, less than a huge page, is left alone", "[catalog_pages]") {
  Fixture fixture(5 * os::kHugePageBytes + 8192);
  fixture.reach(2 * CatalogPages::kManySlots - 100);
  CHECK(fixture.pages.done_bytes() == 5 * os::kHugePageBytes);
}

TEST_CASE("where huge pages are not wanted, the catalog gets none", "[catalog_pages]") {
  ZeroedMemory memory(4 * os::kHugePageBytes);
  CatalogPages pages(memory.bytes(), 4096, {});
  pages.reach(CatalogPages::kManySlots);
  CHECK(pages.done_bytes() == 0);
}
