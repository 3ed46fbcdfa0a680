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
}

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

// dtype_of<T>: the DType of a C++ element type. float16 and bfloat16 have no C++20 type:
// pass their DType and raw bytes instead.
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
