#include <tensord/layout.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "catch.hpp"

using namespace tensord;

namespace {

using Numbers = std::vector<std::int64_t>;

constexpr std::int64_t kHuge = INT64_MAX;

Numbers packed(const Numbers& shape, const Numbers& strides) {
  const Strides result = packed_strides(shape, strides);
  return {result.span().begin(), result.span().end()};
}

Numbers c_order(const Numbers& shape) {
  const Strides result = c_strides(shape);
  return {result.span().begin(), result.span().end()};
}

// The places of all elements, in C order of their indices.
Numbers places(const Numbers& shape, const Numbers& strides) {
  Numbers places{0};
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    Numbers longer;
    for (const std::int64_t place : places) {
      for (std::int64_t i = 0; i < shape[dim]; ++i) longer.push_back(place + i * strides[dim]);
    }
    places = longer;
  }
  return places;
}

bool covers_every_place_once(const Numbers& shape, const Numbers& strides) {
  Numbers found = places(shape, strides);
  std::sort(found.begin(), found.end());
  Numbers expected(found.size());
  std::iota(expected.begin(), expected.end(), 0);
  return found == expected;
}

}  // namespace

TEST_CASE("elements are counted, and too many are not counted wrongly", "[layout]") {
  CHECK(count_elements(Numbers{}) == 1);
  CHECK(count_elements(Numbers{2, 3, 4}) == 24);
  CHECK(count_elements(Numbers{2, 0, 4}) == 0);
  CHECK(count_elements(Numbers{kHuge, 2}) == kHuge);
  CHECK(count_elements(Numbers{kHuge, kHuge, 0}) == 0);
}

TEST_CASE("the strides of C order are NumPy's, also around extents of zero and one", "[layout]") {
  CHECK(c_order({}) == Numbers{});
  CHECK(c_order({5}) == Numbers{1});
  CHECK(c_order({2, 3, 4}) == Numbers{12, 4, 1});
  CHECK(c_order({2, 0, 4}) == Numbers{4, 4, 1});
  CHECK(c_order({1, 1}) == Numbers{1, 1});
  CHECK(c_order({2, kHuge, 3}) == Numbers{kHuge, 3, 1});
}

TEST_CASE("C-contiguity is told as NumPy tells it", "[layout]") {
  CHECK(is_contiguous(Numbers{2, 3}, Numbers{3, 1}));
  CHECK(is_contiguous(Numbers{2, 3}, Numbers{}));
  CHECK_FALSE(is_contiguous(Numbers{2, 3}, Numbers{1, 2}));
  CHECK_FALSE(is_contiguous(Numbers{2, 3}, Numbers{4, 1}));
  CHECK_FALSE(is_contiguous(Numbers{3}, Numbers{-1}));
  CHECK(is_contiguous(Numbers{1, 3}, Numbers{99, 1}));
  CHECK(is_contiguous(Numbers{0, 3}, Numbers{99, -99}));
  CHECK(is_contiguous(Numbers{}, Numbers{}));
  CHECK_FALSE(is_contiguous(Numbers{2, kHuge, kHuge}, Numbers{1, kHuge, 1}));
}

TEST_CASE("dense is every order of dimensions without gaps", "[layout]") {
  CHECK(is_dense(Numbers{2, 3}, Numbers{3, 1}));
  CHECK(is_dense(Numbers{2, 3}, Numbers{1, 2}));
  CHECK(is_dense(Numbers{2, 3, 4}, Numbers{4, 8, 1}));
  CHECK(is_dense(Numbers{3, 1}, Numbers{1, -77}));
  CHECK(is_dense(Numbers{3, 0}, Numbers{-5, 0}));
  CHECK(is_dense(Numbers{2, 3}, Numbers{}));
  CHECK_FALSE(is_dense(Numbers{2, 3}, Numbers{4, 1}));
  CHECK_FALSE(is_dense(Numbers{2, 3}, Numbers{1, 1}));
  CHECK_FALSE(is_dense(Numbers{3}, Numbers{0}));
  CHECK_FALSE(is_dense(Numbers{3}, Numbers{-1}));
  CHECK_FALSE(is_dense(Numbers{3}, Numbers{2}));
}

TEST_CASE("packing keeps dense strides, and only replaces those that nobody takes", "[layout]") {
  CHECK(packed({2, 3}, {3, 1}) == Numbers{3, 1});
  CHECK(packed({2, 3}, {1, 2}) == Numbers{1, 2});
  CHECK(packed({2, 3, 4}, {4, 8, 1}) == Numbers{4, 8, 1});
  CHECK(packed({2, 3}, {}) == Numbers{3, 1});
  CHECK(packed({3, 1, 4}, {4, 99, 1}) == Numbers{4, 99, 1});
  CHECK(packed({3, 1, 4}, {4, -7, 1}) == Numbers{4, 4, 1});
  CHECK(packed({3, 1, 4}, {4, 0, 1}) == Numbers{4, 4, 1});
  CHECK(packed({3, 0, 4}, {1, -2, 99}) == Numbers{4, 4, 1});
}

TEST_CASE("packing keeps the order of the dimensions, whatever their direction", "[layout]") {
  CHECK(packed({5}, {2}) == Numbers{1});
  CHECK(packed({5}, {-1}) == Numbers{1});
  CHECK(packed({2, 3}, {-3, -1}) == Numbers{3, 1});
  CHECK(packed({2, 3}, {1, -2}) == Numbers{1, 2});
  CHECK(packed({4, 3}, {1, 100}) == Numbers{1, 4});
  CHECK(packed({2, 3, 4}, {4, 8, -2}) == Numbers{4, 8, 1});
  CHECK(packed({3}, {INT64_MIN}) == Numbers{1});
}

TEST_CASE("packing orders equal and zero strides as torch does", "[layout]") {
  // Each line is what torch.empty_like gives for such a tensor.
  CHECK(packed({3, 4}, {0, 1}) == Numbers{4, 1});
  CHECK(packed({3, 4}, {1, 0}) == Numbers{4, 1});
  CHECK(packed({3, 4}, {0, 0}) == Numbers{4, 1});
  CHECK(packed({3, 4}, {1, 1}) == Numbers{1, 3});
  CHECK(packed({4, 3}, {1, 1}) == Numbers{3, 1});
  CHECK(packed({6, 5, 4, 3, 2}, {6, 0, 120, 0, 1}) == Numbers{6, 36, 180, 2, 1});
}

TEST_CASE("a packed tensor that fits no memory says so by its strides", "[layout]") {
  CHECK(packed({2, kHuge, kHuge}, {0, 0, 0}) == Numbers{kHuge, kHuge, 1});
}

TEST_CASE("packed strides are dense, and nothing changes when they are packed again", "[layout]") {
  std::mt19937 random(1);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 5000; ++round) {
    Numbers shape(static_cast<std::size_t>(draw(0, 5)));
    Numbers strides(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) shape[i] = draw(1, 4), strides[i] = draw(-9, 9);
    CAPTURE(shape, strides);
    const Numbers result = packed(shape, strides);
    REQUIRE(covers_every_place_once(shape, result));
    REQUIRE(is_dense(shape, result));
    REQUIRE(packed(shape, result) == result);
    REQUIRE(is_contiguous(shape, result) == (places(shape, result) == places(shape, c_order(shape))));
    if (is_dense(shape, strides)) REQUIRE(places(shape, strides) == places(shape, result));
    const bool dense_already =
        covers_every_place_once(shape, strides) && places(shape, result) == places(shape, strides);
    REQUIRE(is_dense(shape, strides) == dense_already);
  }
}
