#include <tensord/dtype.hpp>

#include <set>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace tensord;

namespace {

struct Fact {
  DType dtype;
  std::string name;
  std::size_t itemsize;
  int code, bits, lanes;  // as dlpack.h of DLPack 1.1 has them
};

const std::vector<Fact> kFacts = {
    {kBool, "bool", 1, 6, 8, 1},
    {kInt8, "int8", 1, 0, 8, 1},
    {kInt16, "int16", 2, 0, 16, 1},
    {kInt32, "int32", 4, 0, 32, 1},
    {kInt64, "int64", 8, 0, 64, 1},
    {kUInt8, "uint8", 1, 1, 8, 1},
    {kUInt16, "uint16", 2, 1, 16, 1},
    {kUInt32, "uint32", 4, 1, 32, 1},
    {kUInt64, "uint64", 8, 1, 64, 1},
    {kFloat16, "float16", 2, 2, 16, 1},
    {kFloat32, "float32", 4, 2, 32, 1},
    {kFloat64, "float64", 8, 2, 64, 1},
    {kBFloat16, "bfloat16", 2, 4, 16, 1},
    {kComplex32, "complex32", 4, 5, 32, 1},
    {kComplex64, "complex64", 8, 5, 64, 1},
    {kComplex128, "complex128", 16, 5, 128, 1},
    {kFloat8E3M4, "float8_e3m4", 1, 7, 8, 1},
    {kFloat8E4M3, "float8_e4m3", 1, 8, 8, 1},
    {kFloat8E4M3B11FNUZ, "float8_e4m3b11fnuz", 1, 9, 8, 1},
    {kFloat8E4M3FN, "float8_e4m3fn", 1, 10, 8, 1},
    {kFloat8E4M3FNUZ, "float8_e4m3fnuz", 1, 11, 8, 1},
    {kFloat8E5M2, "float8_e5m2", 1, 12, 8, 1},
    {kFloat8E5M2FNUZ, "float8_e5m2fnuz", 1, 13, 8, 1},
    {kFloat8E8M0FNU, "float8_e8m0fnu", 1, 14, 8, 1},
    {kFloat4E2M1FNx2, "float4_e2m1fn_x2", 1, 17, 4, 2},
};

}  // namespace

TEST_CASE("every dtype has DLPack's numbers, its size, and one name both ways", "[dtype]") {
  CHECK(supported_dtypes().size() == kFacts.size());
  for (const Fact& fact : kFacts) {
    CAPTURE(fact.name);
    CHECK(is_supported(fact.dtype));
    CHECK(dtype_name(fact.dtype) == fact.name);
    CHECK(dtype_from_name(fact.name) == fact.dtype);
    CHECK(fact.dtype.itemsize() == fact.itemsize);
    CHECK(fact.dtype == DType{static_cast<std::uint8_t>(fact.code), static_cast<std::uint8_t>(fact.bits),
                              static_cast<std::uint16_t>(fact.lanes)});
  }
}

TEST_CASE("no two dtypes share a name or a meaning", "[dtype]") {
  std::set<std::string_view> names;
  for (const DType dtype : supported_dtypes()) {
    CHECK(names.insert(dtype_name(dtype)).second);
    CHECK(dtype_from_name(dtype_name(dtype)) == dtype);
  }
}

TEST_CASE("near misses are no dtypes", "[dtype]") {
  for (const DType dtype : {DType{}, DType{dtype_code::kFloat, 8, 1}, DType{dtype_code::kFloat, 32, 2},
                            DType{dtype_code::kFloat8E5M2, 8, 2}, DType{dtype_code::kFloat8E5M2, 16, 1},
                            DType{dtype_code::kFloat4E2M1FN, 4, 1}, DType{dtype_code::kFloat4E2M1FN, 8, 1},
                            DType{dtype_code::kComplex, 16, 1}, DType{3, 64, 1}, DType{15, 6, 1}}) {
    CAPTURE(int{dtype.code}, int{dtype.bits}, dtype.lanes);
    CHECK_FALSE(is_supported(dtype));
    CHECK(dtype_name(dtype) == "unsupported");
  }
  for (const char* name :
       {"", "float", "Float32", "float8", "float8_e5m2 ", "float4_e2m1fn", "unsupported"}) {
    CAPTURE(name);
    CHECK_FALSE(dtype_from_name(name));
  }
}
