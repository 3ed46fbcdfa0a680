#include "client/strided_copy.hpp"

#include <tensord/layout.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "catch.hpp"

using namespace tensord;
using client::copy_strided;

namespace {

using Numbers = std::vector<std::int64_t>;
using Bytes = std::vector<std::byte>;

// A block of memory that holds all elements of a layout, and where the first of them is.
struct Block {
  Bytes bytes;
  std::size_t first = 0;  // bytes

  Block(const Numbers& shape, const Numbers& strides, std::size_t itemsize) {
    std::int64_t low = 0, high = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      (strides[i] < 0 ? low : high) += (shape[i] - 1) * strides[i];
    }
    first = static_cast<std::size_t>(-low) * itemsize;
    bytes.resize(static_cast<std::size_t>(high - low + 1) * itemsize);
  }
  [[nodiscard]] std::byte* origin() { return bytes.data() + first; }
};

// The slow and obvious way: index by index, byte by byte.
void copy_naively(std::byte* to, const Numbers& to_strides, const std::byte* from,
                  const Numbers& from_strides, const Numbers& shape, std::size_t itemsize,
                  std::size_t dim = 0) {
  const auto item = static_cast<std::int64_t>(itemsize);
  if (dim == shape.size()) {
    for (std::size_t i = 0; i < itemsize; ++i) to[i] = from[i];
    return;
  }
  for (std::int64_t i = 0; i < shape[dim]; ++i) {
    copy_naively(to + i * to_strides[dim] * item, to_strides, from + i * from_strides[dim] * item,
                 from_strides, shape, itemsize, dim + 1);
  }
}

void fill(Bytes& bytes, std::mt19937& random) {
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
}

// Copies both ways and compares every byte, those between the elements included.
void check(const Numbers& shape, const Numbers& to_strides, const Numbers& from_strides, std::size_t itemsize,
           std::mt19937& random) {
  CAPTURE(shape, to_strides, from_strides, itemsize);
  Block from(shape, from_strides, itemsize);
  Block to(shape, to_strides, itemsize);
  fill(from.bytes, random);
  fill(to.bytes, random);
  Block expected = to;
  copy_naively(expected.origin(), to_strides, from.origin(), from_strides, shape, itemsize);
  copy_strided(to.origin(), to_strides, from.origin(), from_strides, shape, itemsize);
  REQUIRE(to.bytes == expected.bytes);
}

Numbers strides_of(const Strides& strides) { return {strides.span().begin(), strides.span().end()}; }

}  // namespace

TEST_CASE("a copy goes between any two layouts, byte for byte, and touches nothing else", "[strided_copy]") {
  std::mt19937 random(2);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 4000; ++round) {
    const auto ndim = static_cast<std::size_t>(draw(0, 5));
    Numbers shape(ndim), order(ndim), to_strides(ndim), from_strides(ndim);
    for (std::int64_t& extent : shape) extent = draw(1, 6);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    // Some gaps, in any order of the dimensions.
    std::int64_t stride = draw(1, 2);
    for (const std::int64_t dim : order) {
      const auto at = static_cast<std::size_t>(dim);
      to_strides[at] = stride;
      stride = stride * shape[at] + (draw(0, 3) == 0 ? draw(1, 3) : 0);
    }
    std::shuffle(order.begin(), order.end(), random);
    stride = draw(1, 2);
    for (const std::int64_t dim : order) {
      const auto at = static_cast<std::size_t>(dim);
      from_strides[at] = draw(0, 9) == 0 ? 0 : draw(0, 3) == 0 ? -stride : stride;
      stride = stride * shape[at] + (draw(0, 3) == 0 ? draw(1, 3) : 0);
    }
    constexpr std::size_t kItemSizes[] = {1, 2, 3, 4, 8, 12, 16};
    check(shape, to_strides, from_strides, kItemSizes[draw(0, 6)], random);
  }
}

TEST_CASE("transposing works in tiles of every size and at every edge", "[strided_copy]") {
  std::mt19937 random(3);
  for (const std::size_t itemsize : {1, 2, 4, 8, 16}) {
    for (const std::int64_t rows : {1, 2, 31, 32, 33, 64, 65, 300}) {
      for (const std::int64_t columns : {1, 3, 16, 17, 63, 64, 65, 500}) {
        check({rows, columns}, {columns, 1}, {1, rows}, itemsize, random);
        check({rows, columns}, {columns, 1}, {-2, 2 * rows + 1}, itemsize, random);
      }
    }
    check({3, 70, 2, 90}, strides_of(c_strides(Numbers{3, 70, 2, 90})), {1, 6, 3, 420}, itemsize, random);
    check({90, 2, 70, 3}, {1, 90, 180, 12600}, strides_of(c_strides(Numbers{90, 2, 70, 3})), itemsize,
          random);
  }
}

TEST_CASE("rows past the size of a cache are copied whole", "[strided_copy]") {
  std::mt19937 random(4);
  check({2, 17 << 20}, {18 << 20, 1}, {20 << 20, 1}, 1, random);
  check({17 << 20}, {1}, {1}, 1, random);
}

TEST_CASE("no elements are no bytes, whatever the strides and pointers", "[strided_copy]") {
  copy_strided(nullptr, Numbers{0, 0}, nullptr, Numbers{INT64_MIN, INT64_MAX}, Numbers{0, 1000}, 8);
}

TEST_CASE("strides of dimensions of one element may be anything", "[strided_copy]") {
  const std::uint32_t from[] = {1, 2, 3};
  std::uint32_t to[3] = {};
  copy_strided(reinterpret_cast<std::byte*>(to), Numbers{INT64_MAX, 1, INT64_MIN},
               reinterpret_cast<const std::byte*>(from), Numbers{INT64_MIN, 1, 0}, Numbers{1, 3, 1}, 4);
  CHECK(std::equal(std::begin(from), std::end(from), std::begin(to)));
}
