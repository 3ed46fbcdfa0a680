// What a tensor may be: the arithmetic over shapes and strides, and the rules for names, against the same
// said slowly, in 128 bits.
#include <string>

#include <tensord/layout.hpp>

#include "input.hpp"
#include "protocol/tensor_spec.hpp"

using namespace tensord;
using fuzz::Input;
using fuzz::require;

namespace {

__extension__ using Wide = unsigned __int128;

protocol::TensorSpec take_spec(Input& input) {
  if (input.below(4) == 0) return input.take<protocol::TensorSpec>();
  protocol::TensorSpec spec;
  const auto dtypes = supported_dtypes();
  spec.dtype = input.below(16) == 0 ? input.take<DType>() : dtypes[input.below(dtypes.size())];
  spec.ndim = static_cast<std::uint32_t>(input.below(kMaxDims + 2));
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(spec.ndim, kMaxDims); ++i) {
    spec.shape[i] = static_cast<std::int64_t>(input.number());
    spec.strides[i] = static_cast<std::int64_t>(input.number());
  }
  return spec;
}

// The bytes that a tensor reaches over, or that it reaches too far.
constexpr Wide kTooFar = ~Wide{0};
Wide reach(const protocol::TensorSpec& spec) {
  Wide last = 0;
  for (std::uint32_t i = 0; i < spec.ndim; ++i) {
    if (spec.shape[i] == 0) return 0;
    const Wide step = static_cast<Wide>(spec.shape[i] - 1) * static_cast<Wide>(spec.strides[i]);
    last += step;
    if (step >> 64 != 0 || last >> 64 != 0) return kTooFar;
  }
  return (last + 1) * spec.dtype.itemsize();
}

void check_extent(const protocol::TensorSpec& spec) {
  const Result<std::uint64_t> extent = protocol::extent_bytes(spec);
  if (!extent) return require(!extent.failure().text.empty(), "a refusal says why");
  require(spec.ndim <= kMaxDims && is_supported(spec.dtype), "what is taken is of a supported form");
  for (std::uint32_t i = 0; i < spec.ndim; ++i) {
    require(spec.shape[i] >= 0 && spec.strides[i] >= 0, "what is taken has no negative extents or strides");
  }
  require(reach(spec) == extent.value(), "the extent is what the elements reach over");
  require(extent.value() <= std::uint64_t{1} << 62, "and leaves room for alignment and prefixes");
}

void check_makers(const protocol::TensorSpec& given) {
  if (given.ndim > kMaxDims) return;
  const std::span shape(given.shape, given.ndim);
  const std::span strides(given.strides, given.ndim);
  auto made = protocol::make_contiguous_spec(given.dtype, shape);
  if (made) {
    check_extent(made.value());
    require(is_contiguous(shape, {made->strides, made->ndim}), "a contiguous tensor is contiguous");
    require(protocol::extent_bytes(*made).value() ==
                static_cast<std::uint64_t>(count_elements(shape)) * given.dtype.itemsize(),
            "a contiguous tensor has no gaps");
  }
  if (auto strided = protocol::make_strided_spec(given.dtype, shape, strides)) {
    check_extent(strided.value());
    require(protocol::extent_bytes(*strided).value() >=
                static_cast<std::uint64_t>(count_elements(shape)) * given.dtype.itemsize(),
            "elements that do not overlap take their room");
  }
  // The strides of an array are the user's, and may be negative; its memory is not looked at.
  if (auto packed = protocol::make_packed_spec({given.dtype, shape, strides, nullptr})) {
    check_extent(packed.value());
    require(is_dense(shape, {packed->strides, packed->ndim}), "packed strides are dense");
  }
}

void check_name(std::string_view name) {
  const std::string shown = protocol::quoted(name);
  require(shown.size() >= 2 && shown.size() <= 350, "a quoted name is short");
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    const bool control =
        byte < 0x20 || byte == 0x7f ||
        (byte == 0xc2 && static_cast<unsigned char>(shown[i + 1]) < 0xa0);  // a quote ends it
    require(!control, "a quoted name has no control characters");
  }
  const Result<Done> valid = protocol::check_name(name);
  if (!valid) return require(!valid.failure().text.empty(), "a refused name is told why");
  require(!name.empty() && name.size() <= kMaxNameSize, "a name has 1 to 255 bytes");
  require(name.front() != '/' && name.back() != '/' && name.find("//") == name.npos, "no part is empty");
  require(name.find('\0') == name.npos, "a name has no zero byte");
  const std::string_view space = protocol::namespace_of(name);
  require(!space.empty() && space.find('/') == space.npos, "a namespace is one part");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  if (input.flip()) {
    const protocol::TensorSpec spec = take_spec(input);
    check_extent(spec);
    check_makers(spec);
  } else {
    const auto name = input.piece(300);
    check_name({reinterpret_cast<const char*>(name.data()), name.size()});
  }
  return 0;
}
