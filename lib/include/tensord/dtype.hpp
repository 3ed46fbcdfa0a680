// DType: what one element is, in DLPack's terms (code, bits, lanes), so that NumPy, torch and
// C++ agree on it without a table of ours in between.
// Source of the codes: DLPack, `DLDataTypeCode`.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tensord {

struct DType {
  std::uint8_t code = 0;
  std::uint8_t bits = 0;
  std::uint16_t lanes = 0;

  // The bytes of one element; 0 for a default-made DType.
  [[nodiscard]] constexpr std::size_t itemsize() const { return std::size_t{bits} * lanes / 8; }
  friend constexpr bool operator==(DType, DType) = default;
};
static_assert(sizeof(DType) == 4);

namespace dtype_code {
inline constexpr std::uint8_t kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6;
// From here on a code is one format: its bits are in its name.
inline constexpr std::uint8_t kFloat8E3M4 = 7, kFloat8E4M3 = 8, kFloat8E4M3B11FNUZ = 9, kFloat8E4M3FN = 10,
                              kFloat8E4M3FNUZ = 11, kFloat8E5M2 = 12, kFloat8E5M2FNUZ = 13,
                              kFloat8E8M0FNU = 14, kFloat4E2M1FN = 17;
}  // namespace dtype_code

inline constexpr DType kInt8{dtype_code::kInt, 8, 1};
inline constexpr DType kInt16{dtype_code::kInt, 16, 1};
inline constexpr DType kInt32{dtype_code::kInt, 32, 1};
inline constexpr DType kInt64{dtype_code::kInt, 64, 1};
inline constexpr DType kUInt8{dtype_code::kUInt, 8, 1};
inline constexpr DType kUInt16{dtype_code::kUInt, 16, 1};
inline constexpr DType kUInt32{dtype_code::kUInt, 32, 1};
inline constexpr DType kUInt64{dtype_code::kUInt, 64, 1};
inline constexpr DType kFloat16{dtype_code::kFloat, 16, 1};
inline constexpr DType kFloat32{dtype_code::kFloat, 32, 1};
inline constexpr DType kFloat64{dtype_code::kFloat, 64, 1};
inline constexpr DType kBFloat16{dtype_code::kBfloat, 16, 1};
inline constexpr DType kFloat8E3M4{dtype_code::kFloat8E3M4, 8, 1};
inline constexpr DType kFloat8E4M3{dtype_code::kFloat8E4M3, 8, 1};
inline constexpr DType kFloat8E4M3B11FNUZ{dtype_code::kFloat8E4M3B11FNUZ, 8, 1};
inline constexpr DType kFloat8E4M3FN{dtype_code::kFloat8E4M3FN, 8, 1};
inline constexpr DType kFloat8E4M3FNUZ{dtype_code::kFloat8E4M3FNUZ, 8, 1};
inline constexpr DType kFloat8E5M2{dtype_code::kFloat8E5M2, 8, 1};
inline constexpr DType kFloat8E5M2FNUZ{dtype_code::kFloat8E5M2FNUZ, 8, 1};
inline constexpr DType kFloat8E8M0FNU{dtype_code::kFloat8E8M0FNU, 8, 1};
// Two numbers of 4 bits are one element, of a byte, as in torch.
inline constexpr DType kFloat4E2M1FNx2{dtype_code::kFloat4E2M1FN, 4, 2};
inline constexpr DType kComplex32{dtype_code::kComplex, 32, 1};
inline constexpr DType kComplex64{dtype_code::kComplex, 64, 1};
inline constexpr DType kComplex128{dtype_code::kComplex, 128, 1};
inline constexpr DType kBool{dtype_code::kBool, 8, 1};

// Every dtype that tensord holds.
[[nodiscard]] std::span<const DType> supported_dtypes();
[[nodiscard]] bool is_supported(DType dtype);

// "float32", "bfloat16", ... ; "unsupported" for what is_supported() refuses.
[[nodiscard]] std::string_view dtype_name(DType dtype);
// The other way round; nothing for a word that names no supported dtype.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name);

// dtype_of<T>: the DType of a C++ element type. float16, complex32, bfloat16 and the narrower floats
// have no C++20 type: pass their DType and raw bytes instead.
template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "this C++ type has no tensord dtype");
  return DType{};
}();
template <>
inline constexpr DType dtype_of<std::int8_t> = kInt8;
template <>
inline constexpr DType dtype_of<std::int16_t> = kInt16;
template <>
inline constexpr DType dtype_of<std::int32_t> = kInt32;
template <>
inline constexpr DType dtype_of<std::int64_t> = kInt64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = kUInt8;
template <>
inline constexpr DType dtype_of<std::uint16_t> = kUInt16;
template <>
inline constexpr DType dtype_of<std::uint32_t> = kUInt32;
template <>
inline constexpr DType dtype_of<std::uint64_t> = kUInt64;
template <>
inline constexpr DType dtype_of<float> = kFloat32;
template <>
inline constexpr DType dtype_of<double> = kFloat64;
template <>
inline constexpr DType dtype_of<std::complex<float>> = kComplex64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = kComplex128;
template <>
inline constexpr DType dtype_of<bool> = kBool;

}  // namespace tensord
