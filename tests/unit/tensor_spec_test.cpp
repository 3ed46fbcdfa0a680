#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "protocol/tensor_spec.hpp"

using namespace tensord;
using namespace tensord::protocol;

namespace {

using Shape = std::vector<std::int64_t>;

TensorSpec strided(DType dtype, const Shape& shape, const Shape& strides) {
  TensorSpec spec;
  spec.dtype = dtype;
  spec.ndim = static_cast<std::uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), spec.shape);
  std::copy(strides.begin(), strides.end(), spec.strides);
  return spec;
}

}  // namespace

TEST_CASE("contiguous strides are NumPy's, also around extents of zero and one", "[spec]") {
  const auto strides = [](const Shape& shape) {
    const TensorSpec spec = make_contiguous_spec(kFloat32, shape).value();
    return Shape(spec.strides, spec.strides + spec.ndim);
  };
  CHECK(strides({}) == Shape{});
  CHECK(strides({5}) == Shape{1});
  CHECK(strides({2, 3, 4}) == Shape{12, 4, 1});
  CHECK(strides({2, 0, 4}) == Shape{4, 4, 1});
  CHECK(strides({1, 1}) == Shape{1, 1});
}

TEST_CASE("the extent reaches from the first element to the end of the last", "[spec]") {
  CHECK(extent_bytes(strided(kFloat32, {}, {})).value() == 4);
  CHECK(extent_bytes(strided(kFloat32, {2, 3}, {3, 1})).value() == 24);
  CHECK(extent_bytes(strided(kFloat32, {2, 3}, {100, 1})).value() == 412);
  CHECK(extent_bytes(strided(kFloat32, {5}, {0})).value() == 4);
  CHECK(extent_bytes(strided(kFloat32, {5, 0}, {1, 1})).value() == 0);
  CHECK(extent_bytes(strided(kComplex128, {3}, {1})).value() == 48);
}

TEST_CASE("no shape or stride that a client may send overflows", "[spec]") {
  constexpr std::int64_t kHuge = INT64_MAX;
  for (const auto& spec : {strided(kInt8, {kHuge}, {kHuge}), strided(kInt8, {kHuge, kHuge}, {1, kHuge}),
                           strided(kFloat64, {kHuge}, {1}),
                           strided(kInt8, {kHuge, kHuge, kHuge, kHuge}, {kHuge, kHuge, kHuge, kHuge}),
                           strided(kInt8, {2, 2, 2}, {kHuge, kHuge, kHuge}), strided(kInt8, {-1}, {1}),
                           strided(kInt8, {1}, {-1}), strided(kInt8, {INT64_MIN}, {INT64_MIN})}) {
    const auto extent = extent_bytes(spec);
    REQUIRE_FALSE(extent);
    CHECK(extent.failure().code == Errc::kInvalidArgument);
  }
  CHECK_FALSE(make_contiguous_spec(kInt8, Shape{kHuge, 3}));
  CHECK_FALSE(make_contiguous_spec(kInt8, Shape(17, 1)));
  CHECK(make_contiguous_spec(kInt8, Shape(16, 1)));
}

TEST_CASE("names are UTF-8 without control characters and empty parts", "[spec]") {
  for (const char* good :
       {"x", "a/b", "a b/c.d-e_f", "größe/тензор", "\u00a0", "\xf0\x9f\x98\x80", "..", "a/../b"}) {
    INFO(good);
    CHECK(check_name(good));
  }
  const std::string bad[] = {"",
                             "/",
                             "/a",
                             "a/",
                             "a//b",
                             "a\tb",
                             "\x7f",
                             "\u0080",
                             "a\u009b2J",
                             "\u009f",
                             std::string("a\0b", 3),
                             "\x80",
                             "\xc0\xaf",
                             "\xed\xa0\x80",
                             "\xf4\x90\x80\x80",
                             "\xe2\x82",
                             "\xf8\x88\x80\x80\x80",
                             std::string(256, 'a')};
  for (const std::string& name : bad) {
    INFO(quoted(name));
    const auto checked = check_name(name);
    REQUIRE_FALSE(checked);
    CHECK(checked.failure().code == Errc::kInvalidArgument);
  }
  CHECK(check_name(std::string(255, 'a')));
}

TEST_CASE("a tensor without elements may have any strides that can be addressed", "[spec]") {
  const std::int64_t shape[] = {std::int64_t{1} << 40, 0};
  const std::int64_t strides[] = {3 << 22, std::int64_t{1} << 40};
  CHECK(make_strided_spec(kInt8, shape, strides));
}

TEST_CASE("a name's namespace is what stands before its first slash", "[spec]") {
  CHECK(namespace_of("a/b/c") == "a");
  CHECK(namespace_of("abc") == "default");
}

TEST_CASE("what a stranger named can be printed", "[spec]") {
  CHECK(quoted("a/b") == "'a/b'");
  CHECK(quoted("a\nb\xff") == "'a\\x0ab\\xff'");
  CHECK(quoted("größe\u00a0") == "'größe\u00a0'");
  CHECK(quoted("a\u009b2J") == "'a\\xc2\\x9b2J'");
  // A name is shown whole, and what is longer than a name can be is cut, whatever it consists of.
  CHECK(quoted(std::string(255, 'x')) == "'" + std::string(255, 'x') + "'");
  CHECK(quoted(std::string(500, 'x')).size() < 265);
  CHECK(quoted(std::string(500, '\x01')).size() < 265);
}

TEST_CASE("elements are aligned to their size, complex ones to that of their parts", "[spec]") {
  CHECK(alignment_of(kFloat64) == 8);
  CHECK(alignment_of(kFloat8E4M3FN) == 1);
  CHECK(alignment_of(kFloat4E2M1FNx2) == 1);
  CHECK(alignment_of(kComplex128) == 8);
  CHECK(alignment_of(kComplex32) == 2);
  for (const DType dtype : supported_dtypes()) {
    INFO(dtype_name(dtype));
    CHECK(std::has_single_bit(alignment_of(dtype)));
  }
}
