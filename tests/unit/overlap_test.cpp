// Which arrays have memory in common: on addresses alone, nothing is read.
#include <cstdint>
#include <vector>

#include "catch.hpp"
#include "client/overlap.hpp"

using namespace tensord;
using client::CommonMemory;
using client::find_common_memory;

namespace {

using Values = std::vector<std::int64_t>;

// Arrays of float32 at a number of elements from one address.
struct Arrays {
  void add(std::size_t offset, Values shape, Values strides = {}) {
    kept.push_back({std::move(shape), std::move(strides)});
    offsets.push_back(offset);
  }
  std::vector<CommonMemory> common() const {
    std::vector<Array> arrays;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      arrays.push_back({kFloat32, kept[i].shape, kept[i].strides, memory + 4 * offsets[i]});
    }
    return find_common_memory(arrays);
  }
  struct Kept {
    Values shape, strides;
  };
  std::vector<Kept> kept;
  std::vector<std::size_t> offsets;
  std::byte* const memory = reinterpret_cast<std::byte*>(0x1000'0000);
};

}  // namespace

TEST_CASE("arrays that only touch, or are empty, have nothing in common", "[overlap]") {
  Arrays arrays;
  arrays.add(0, {10});
  arrays.add(10, {10});
  arrays.add(30, {2, 5});
  arrays.add(5, {0});
  arrays.add(5, {3, 0, 2}, {1, 1, 1});
  CHECK(arrays.common().empty());
}

TEST_CASE("arrays overlap directly, and through others", "[overlap]") {
  Arrays arrays;
  arrays.add(100, {});    // one element, by itself
  arrays.add(18, {4});    // overlaps with the next
  arrays.add(8, {11});    // and with the one after it
  arrays.add(0, {3, 3});  // of nine elements
  arrays.add(200, {5}), arrays.add(200, {5});
  const auto common = arrays.common();
  REQUIRE(common.size() == 2);
  CHECK(common[0].arrays == std::vector<std::size_t>{3, 2, 1});
  CHECK(common[0].begin == arrays.memory);
  CHECK(common[0].size_bytes == 22 * 4);
  CHECK(common[1].arrays == std::vector<std::size_t>{4, 5});
  CHECK(common[1].size_bytes == 5 * 4);
}

TEST_CASE("a range goes from the lowest to the highest byte, whatever the strides", "[overlap]") {
  Arrays arrays;
  arrays.add(9, {10}, {-1});           // 0 to 9
  arrays.add(0, {4, 2}, {100, 1});     // 0 to 301
  arrays.add(301, {1'000'000}, {0});   // one element, a million times
  arrays.add(400, {3, 4}, {-100, 2});  // 200 to 406
  const auto common = arrays.common();
  REQUIRE(common.size() == 1);
  CHECK(common[0].arrays == std::vector<std::size_t>{0, 1, 3, 2});
  CHECK(common[0].size_bytes == 407 * 4);
}
