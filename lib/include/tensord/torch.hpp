// Torch: views as torch::Tensor, and torch::Tensor into the store.
//
//   torch::Tensor images = tensord::as_torch(store.attach("digits/images"));     // no copy
//   torch::Tensor mine = tensord::clone_to_torch(store.attach("digits/images"));  // one copy
//   tensord::put(store, "digits/mean", images.mean(0));                          // one copy
//
// Header-only, so that it is compiled against your own LibTorch, with your compiler's ABI; the
// library itself never sees torch. Link tensord::tensord and your LibTorch.
//
// Owns     a tensor from as_torch() keeps its own pin: View, Store and name may all go first.
// Threads  as torch: tensors may be dropped on any thread.
// Fails    with tensord::Error (error.hpp), before anything is copied or published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <torch/types.h>
#include <torch/version.h>

#include <tensord/array.hpp>
#include <tensord/dtype.hpp>
#include <tensord/error.hpp>
#include <tensord/layout.hpp>
#include <tensord/store.hpp>
#include <tensord/view.hpp>

namespace tensord {

namespace torch_detail {

struct DTypePair {
  DType dtype;
  at::ScalarType scalar_type;
};

// Every dtype that tensord and torch both hold.
inline constexpr DTypePair kDTypePairs[] = {
    {kInt8, at::ScalarType::Char},
    {kInt16, at::ScalarType::Short},
    {kInt32, at::ScalarType::Int},
    {kInt64, at::ScalarType::Long},
    {kUInt8, at::ScalarType::Byte},
    {kUInt16, at::ScalarType::UInt16},
    {kUInt32, at::ScalarType::UInt32},
    {kUInt64, at::ScalarType::UInt64},
    {kFloat16, at::ScalarType::Half},
    {kFloat32, at::ScalarType::Float},
    {kFloat64, at::ScalarType::Double},
    {kBFloat16, at::ScalarType::BFloat16},
    {kFloat8E4M3FN, at::ScalarType::Float8_e4m3fn},
    {kFloat8E4M3FNUZ, at::ScalarType::Float8_e4m3fnuz},
    {kFloat8E5M2, at::ScalarType::Float8_e5m2},
    {kFloat8E5M2FNUZ, at::ScalarType::Float8_e5m2fnuz},
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 7
    {kFloat8E8M0FNU, at::ScalarType::Float8_e8m0fnu},
#endif
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 8
    {kFloat4E2M1FNx2, at::ScalarType::Float4_e2m1fn_x2},
#endif
    {kComplex32, at::ScalarType::ComplexHalf},
    {kComplex64, at::ScalarType::ComplexFloat},
    {kComplex128, at::ScalarType::ComplexDouble},
    {kBool, at::ScalarType::Bool},
};

inline at::IntArrayRef int_array(std::span<const std::int64_t> values) {
  return {values.data(), values.size()};
}

// Throws unless tensor.const_data_ptr() and its strides lead to the tensor's elements.
inline void require_plain_elements(std::string_view name, const torch::Tensor& tensor) {
  const std::string what = "put(\"" + std::string(name) + "\"): the torch tensor ";
  if (!tensor.defined()) throw InvalidArgumentError(what + "is undefined; give it a value first");
  if (tensor.layout() != at::kStrided) {
    throw InvalidArgumentError(what + "has layout " + c10::str(tensor.layout()) +
                               ", and the store holds dense tensors; pass .to_dense()");
  }
  if (!tensor.device().is_cpu()) {
    throw InvalidArgumentError(what + "is on device " + tensor.device().str() +
                               ", and the store holds host memory; pass .cpu()");
  }
  // Torch delays conjugation, negation and zero-filling: those bytes do not hold the values yet.
  if (tensor.is_conj() || tensor.is_neg() || tensor._is_zerotensor()) {
    throw InvalidArgumentError(what +
                               "is a lazy conjugate, negative or zero, whose values are not in memory yet; "
                               "pass .resolve_conj().resolve_neg().clone()");
  }
}

inline std::span<const std::int64_t> span_of(at::IntArrayRef values) {
  return {values.data(), values.size()};
}

}  // namespace torch_detail

// The torch dtype of the same elements. Throws UnsupportedTypeError where torch has none.
[[nodiscard]] inline at::ScalarType to_torch_dtype(DType dtype) {
  for (const auto& pair : torch_detail::kDTypePairs) {
    if (pair.dtype == dtype) return pair.scalar_type;
  }
  throw UnsupportedTypeError("torch has no dtype for tensord's " + std::string(dtype_name(dtype)) +
                             ": use view.data() for the bits");
}

// The way back. Throws UnsupportedTypeError for what the store does not hold, quantized ones for one.
[[nodiscard]] inline DType from_torch_dtype(at::ScalarType scalar_type) {
  for (const auto& pair : torch_detail::kDTypePairs) {
    if (pair.scalar_type == scalar_type) return pair.dtype;
  }
  throw UnsupportedTypeError("tensord holds no tensors of torch dtype " +
                             std::string(c10::toString(scalar_type)) +
                             "; convert it, for example with .to(torch::kFloat32)");
}

// The tensor's bytes as a torch::Tensor, without a copy.
// Live, "r+": the shared bytes; writes are seen by every process.
// Live, "r": throws WouldCopyError, for torch knows no read-only tensors.
// Sealed: a private, copy-on-write mapping of the shared bytes, made anew by each call; what is
// written to it stays in the returned tensor and reaches nobody else.
[[nodiscard]] inline torch::Tensor as_torch(const View& view) {
  const at::TensorOptions options(to_torch_dtype(view.dtype()));
  const at::IntArrayRef shape = torch_detail::int_array(view.shape());
  const at::IntArrayRef strides = torch_detail::int_array(view.strides());
  if (view.kind() == Kind::kSealed) {
    auto mapping = view.map_private();
    std::byte* const data = mapping.get();
    return torch::from_blob(
        data, shape, strides, [mapping = std::move(mapping)](void*) {}, options);
  }
  if (view.mode() != Mode::kReadWrite) {
    throw WouldCopyError(
        "as_torch(\"" + std::string(view.name()) +
        "\"): a live tensor attached \"r\" cannot become a torch::Tensor, because torch knows "
        "no read-only tensors; attach it with Mode::kReadWrite, or call clone_to_torch(view)");
  }
  static_cast<void>(view.extent_bytes());  // throws unless all of it lies in the segment
  return torch::from_blob(
      view.mutable_data(), shape, strides, [view](void*) {}, options);
}

// The tensor's elements in memory of torch's own: exactly one copy, with the strides that
// torch::Tensor::clone() gives.
[[nodiscard]] inline torch::Tensor clone_to_torch(const View& view) {
  const Strides strides = packed_strides(view.shape(), view.strides());
  torch::Tensor tensor =
      torch::empty_strided(torch_detail::int_array(view.shape()), torch_detail::int_array(strides),
                           at::TensorOptions(to_torch_dtype(view.dtype())));
  view.clone_to({static_cast<std::byte*>(tensor.data_ptr()), view.size_bytes()});
  return tensor;
}

namespace torch_detail {

// Borrows everything from `tensor`.
inline Array array_of(std::string_view name, const torch::Tensor& tensor) {
  require_plain_elements(name, tensor);
  return {from_torch_dtype(tensor.scalar_type()), span_of(tensor.sizes()), span_of(tensor.strides()),
          tensor.const_data_ptr()};
}

}  // namespace torch_detail

// A new tensor in the store with the elements of `tensor`, detached from its graph: exactly one
// copy. Its strides are those that tensor.clone() has. Returns the view; a live tensor's is "r+",
// ready for as_torch(). Throws InvalidArgumentError unless `tensor` is dense and on the CPU.
inline View put(const Store& store, std::string_view name, const torch::Tensor& tensor,
                const PutOptions& options = {}) {
  return store.put(name, torch_detail::array_of(name, tensor), options);
}

// The same, cast to `dtype` while it is copied, as tensor.to(dtype) would be: no temporary.
inline View put(const Store& store, std::string_view name, const torch::Tensor& tensor, at::ScalarType dtype,
                const PutOptions& options = {}) {
  const Array array = torch_detail::array_of(name, tensor);
  const Strides strides = packed_strides(array.shape, array.strides);
  Builder builder = store.build(name, from_torch_dtype(dtype), array.shape, strides, options);
  torch::from_blob(builder.mutable_data(), tensor.sizes(), torch_detail::int_array(strides),
                   at::TensorOptions(dtype))
      .copy_(tensor.detach());
  builder.count_bytes_copied(builder.size_bytes());
  return builder.publish();
}

}  // namespace tensord
