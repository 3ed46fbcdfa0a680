#include "protocol/tensor_spec.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>

#include <tensord/layout.hpp>

namespace tensord::protocol {
namespace {

// Sizes stay below this, so that adding alignment, prefixes and segments to them cannot overflow.
constexpr std::uint64_t kMaxTensorBytes = std::uint64_t{1} << 62;

Failure invalid(std::string text) { return {Errc::kInvalidArgument, std::move(text)}; }

Failure too_many_dims(std::size_t ndim) {
  return {Errc::kLimitReached, "the tensor has " + std::to_string(ndim) +
                                   " dimensions; tensord holds at most " + std::to_string(kMaxDims) +
                                   ": reshape it first"};
}

// The length of the UTF-8 sequence at the start of `bytes`, 0 if it is none. Overlong forms,
// surrogates and code points past U+10FFFF are none.
std::size_t utf8_sequence(std::string_view bytes) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte_at(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (size == 0 || lead > 0xf4 || bytes.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(i) & 0xc0) != 0x80) return 0;
  }
  if (lead == 0xe0 && byte_at(1) < 0xa0) return 0;
  if (lead == 0xed && byte_at(1) > 0x9f) return 0;
  if (lead == 0xf0 && byte_at(1) < 0x90) return 0;
  if (lead == 0xf4 && byte_at(1) > 0x8f) return 0;
  return size;
}

// Whether a valid sequence is a control character, U+0000 to U+001F and U+007F to U+009F. To many terminals
// U+009B is what escape and a bracket are.
bool is_control(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  return lead < 0x20 || lead == 0x7f || (lead == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0);
}

}  // namespace

Result<TensorSpec> make_contiguous_spec(DType dtype, std::span<const std::int64_t> shape) {
  if (shape.size() > kMaxDims) return too_many_dims(shape.size());
  TensorSpec spec;
  spec.dtype = dtype;
  spec.ndim = static_cast<std::uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), spec.shape);
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    spec.strides[i] = stride;
    // A zero extent leaves the strides of a one, as NumPy and torch do.
    if (__builtin_mul_overflow(stride, std::max<std::int64_t>(shape[i], 1), &stride)) {
      return invalid("the shape has more elements than 64 bits can count");
    }
  }
  const Result<std::uint64_t> extent = extent_bytes(spec);
  if (!extent) return extent.failure();
  return spec;
}

namespace {

Failure unlike(std::size_t strides, std::size_t shape) {
  return invalid("a layout has as many strides as dimensions; these are " + std::to_string(strides) +
                 " strides for " + std::to_string(shape) + " dimensions");
}

// Whether no two elements share a place, judged as NumPy and torch do it fast: each stride steps over all
// that the smaller ones reach. Layouts that interleave in cleverer ways are refused with the others.
bool elements_overlap(const TensorSpec& spec) {
  // Of no elements, none does; and only elements keep the sums below from overflowing.
  if (count_elements({spec.shape, spec.ndim}) == 0) return false;
  std::array<std::uint32_t, kMaxDims> order{};
  const auto dims = std::span(order).first(spec.ndim);
  std::iota(dims.begin(), dims.end(), 0u);
  std::ranges::sort(dims, {}, [&](std::uint32_t i) { return spec.strides[i]; });
  std::int64_t reach = 0;  // the largest offset so far
  for (const std::uint32_t i : dims) {
    if (spec.shape[i] == 1) continue;
    if (spec.strides[i] <= reach) return true;
    reach += (spec.shape[i] - 1) * spec.strides[i];
  }
  return false;
}

}  // namespace

Result<TensorSpec> make_spec(DType dtype, std::span<const std::int64_t> shape,
                             std::span<const std::int64_t> strides) {
  if (shape.size() > kMaxDims) return too_many_dims(shape.size());
  if (shape.size() != strides.size()) return unlike(strides.size(), shape.size());
  TensorSpec spec;
  spec.dtype = dtype;
  spec.ndim = static_cast<std::uint32_t>(shape.size());
  std::ranges::copy(shape, spec.shape);
  std::ranges::copy(strides, spec.strides);
  const Result<std::uint64_t> extent = extent_bytes(spec);
  if (!extent) return extent.failure();
  return spec;
}

Result<TensorSpec> make_strided_spec(DType dtype, std::span<const std::int64_t> shape,
                                     std::span<const std::int64_t> strides) {
  Result<TensorSpec> spec = make_spec(dtype, shape, strides);
  if (spec && elements_overlap(*spec)) {
    return invalid(
        "with these strides several elements share a place: a tensor of its own needs strides of "
        "which each steps over what the smaller ones reach");
  }
  return spec;
}

Result<TensorSpec> make_packed_spec(const Array& array) {
  if (array.strides.empty()) return make_contiguous_spec(array.dtype, array.shape);
  if (array.strides.size() != array.shape.size()) return unlike(array.strides.size(), array.shape.size());
  // First as if in C order: packed strides of a shape that fits nowhere would overflow.
  Result<TensorSpec> spec = make_contiguous_spec(array.dtype, array.shape);
  if (spec) std::ranges::copy(packed_strides(array.shape, array.strides).span(), spec->strides);
  return spec;
}

Result<std::uint64_t> extent_bytes(const TensorSpec& spec) {
  if (spec.ndim > kMaxDims) return too_many_dims(spec.ndim);
  if (!is_supported(spec.dtype)) {
    return Failure{Errc::kUnsupportedType, "tensord does not hold elements of DLPack type (code " +
                                               std::to_string(spec.dtype.code) + ", bits " +
                                               std::to_string(spec.dtype.bits) + ", lanes " +
                                               std::to_string(spec.dtype.lanes) +
                                               "): convert them to one of the dtypes in tensord/dtype.hpp"};
  }
  bool empty = false;
  std::uint64_t last_element = 0;
  for (std::uint32_t i = 0; i < spec.ndim; ++i) {
    const std::int64_t extent = spec.shape[i];
    const std::int64_t stride = spec.strides[i];
    if (extent < 0) {
      return invalid("dimension " + std::to_string(i) + " has the negative extent " + std::to_string(extent));
    }
    if (stride < 0) {
      return invalid("dimension " + std::to_string(i) + " has the negative stride " + std::to_string(stride));
    }
    if (extent == 0) {
      empty = true;
      continue;
    }
    std::uint64_t step = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(extent - 1), static_cast<std::uint64_t>(stride),
                               &step) ||
        __builtin_add_overflow(last_element, step, &last_element)) {
      return invalid("the shape and strides reach past what 64 bits can address");
    }
  }
  if (empty) return std::uint64_t{0};
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(last_element + 1, spec.dtype.itemsize(), &bytes) || bytes > kMaxTensorBytes ||
      last_element + 1 == 0) {
    return invalid("the shape and strides reach past what 64 bits can address");
  }
  return bytes;
}

std::size_t alignment_of(DType dtype) {
  return dtype.itemsize() / (dtype.code == dtype_code::kComplex ? 2 : 1);
}

Result<Done> check_name(std::string_view name) {
  const auto refuse = [&](const std::string& why) { return invalid("the name " + quoted(name) + " " + why); };
  if (name.empty()) return invalid("the name is empty: a tensor needs a name such as \"run1/weights\"");
  if (name.size() > kMaxNameSize) {
    return refuse("has " + std::to_string(name.size()) + " bytes; at most " + std::to_string(kMaxNameSize) +
                  " are allowed");
  }
  for (std::string_view rest = name; !rest.empty();) {
    const std::size_t size = utf8_sequence(rest);
    if (size == 0) return refuse("is not valid UTF-8");
    if (is_control(rest)) return refuse("has a control character");
    rest.remove_prefix(size);
  }
  if (name.front() == '/' || name.back() == '/' || name.find("//") != std::string_view::npos) {
    return refuse("has an empty part: write it without leading, trailing or doubled slashes");
  }
  return Done{};
}

std::string_view namespace_of(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos ? "default" : name.substr(0, slash);
}

std::string quoted(std::string_view text_untrusted) {
  // A name is shown whole: the end may be what tells it from others.
  constexpr std::size_t kShown = kMaxNameSize + 1;  // with the quote
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "'";
  for (std::size_t at = 0; at < text_untrusted.size();) {
    if (text.size() >= kShown) {
      text += "...";
      break;
    }
    const std::string_view rest = text_untrusted.substr(at);
    const std::size_t sequence = utf8_sequence(rest);
    if (sequence == 0 || is_control(rest)) {  // what is left of a longer one is escaped as invalid
      const auto byte = static_cast<unsigned char>(rest[0]);
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      ++at;
    } else {
      text += rest.substr(0, sequence);
      at += sequence;
    }
  }
  return text + "'";
}

}  // namespace tensord::protocol
