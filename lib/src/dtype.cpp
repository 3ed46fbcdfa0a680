#include <tensord/dtype.hpp>

#include <algorithm>
#include <array>

namespace tensord {
namespace {

struct Entry {
  DType dtype;
  std::string_view name;
};

// torch's names; what torch lacks has ml_dtypes's.
constexpr std::array kTable = {
    Entry{kBool, "bool"},
    Entry{kInt8, "int8"},
    Entry{kInt16, "int16"},
    Entry{kInt32, "int32"},
    Entry{kInt64, "int64"},
    Entry{kUInt8, "uint8"},
    Entry{kUInt16, "uint16"},
    Entry{kUInt32, "uint32"},
    Entry{kUInt64, "uint64"},
    Entry{kFloat16, "float16"},
    Entry{kBFloat16, "bfloat16"},
    Entry{kFloat32, "float32"},
    Entry{kFloat64, "float64"},
    Entry{kComplex32, "complex32"},
    Entry{kComplex64, "complex64"},
    Entry{kComplex128, "complex128"},
    Entry{kFloat8E3M4, "float8_e3m4"},
    Entry{kFloat8E4M3, "float8_e4m3"},
    Entry{kFloat8E4M3B11FNUZ, "float8_e4m3b11fnuz"},
    Entry{kFloat8E4M3FN, "float8_e4m3fn"},
    Entry{kFloat8E4M3FNUZ, "float8_e4m3fnuz"},
    Entry{kFloat8E5M2, "float8_e5m2"},
    Entry{kFloat8E5M2FNUZ, "float8_e5m2fnuz"},
    Entry{kFloat8E8M0FNU, "float8_e8m0fnu"},
    Entry{kFloat4E2M1FNx2, "float4_e2m1fn_x2"},
};

constexpr auto kDTypes = [] {
  std::array<DType, kTable.size()> dtypes{};
  std::transform(kTable.begin(), kTable.end(), dtypes.begin(), [](const Entry& e) { return e.dtype; });
  return dtypes;
}();

}  // namespace

std::span<const DType> supported_dtypes() { return kDTypes; }

bool is_supported(DType dtype) { return std::find(kDTypes.begin(), kDTypes.end(), dtype) != kDTypes.end(); }

std::string_view dtype_name(DType dtype) {
  const auto found =
      std::find_if(kTable.begin(), kTable.end(), [&](const Entry& e) { return e.dtype == dtype; });
  return found == kTable.end() ? "unsupported" : found->name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  const auto found =
      std::find_if(kTable.begin(), kTable.end(), [&](const Entry& e) { return e.name == name; });
  if (found == kTable.end()) return std::nullopt;
  return found->dtype;
}

}  // namespace tensord
