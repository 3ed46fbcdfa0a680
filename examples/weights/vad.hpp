// Vad: silero-vad's network for 16 kHz, in LibTorch, by the names that its weights have in its safetensors
// file. vad.py is the same in Python.
//
// A set of weights carries two more tensors: `version`, and `checksum`, of the bits of all others. The
// publisher computes it before he publishes, so a set of tensors of two versions gives itself away.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <tensord/torch_module.hpp>

namespace weights {

constexpr std::int64_t kChunk = 512;   // samples at 16 kHz; each gives one probability
constexpr std::int64_t kContext = 64;  // samples before it that it is looked at with
constexpr std::int64_t kHidden = 128;

// ---- checksum: sums of 32-bit words, tensor by tensor in the order of their names ----

class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint32_t)) {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes.data() + i, sizeof(word));
      sum += word;
    }
    value_ = value_ * 1'000'003 + sum;
  }
  [[nodiscard]] std::int64_t value() const { return static_cast<std::int64_t>(value_); }

 private:
  std::uint64_t value_ = 0;
};

inline bool is_whole(const std::map<std::string, std::span<const std::byte>>& tensors) {
  Checksum checksum;
  std::int64_t said = 0;
  for (const auto& [name, bytes] : tensors) {
    if (name.ends_with("checksum")) {
      std::memcpy(&said, bytes.data(), sizeof(said));
    } else {
      checksum.add(bytes);
    }
  }
  return checksum.value() == said;
}

inline bool is_whole(const std::map<std::string, torch::Tensor>& tensors) {
  std::map<std::string, std::span<const std::byte>> bytes;
  for (const auto& [name, tensor] : tensors) {
    bytes[name] = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
  }
  return is_whole(bytes);
}

inline bool is_whole(std::span<const std::string_view> names, std::span<const tensord::View> views) {
  std::map<std::string, std::span<const std::byte>> bytes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    bytes[std::string(names[i])] = {views[i].data(), views[i].size_bytes()};
  }
  return is_whole(bytes);
}

// ---- the network ----

// The tensors of one layer. Their values come from the store, so they begin as anything.
struct Layer : torch::nn::Module {
  explicit Layer(const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& shapes) {
    for (const auto& [name, shape] : shapes) register_parameter(name, torch::empty(shape), false);
  }
  [[nodiscard]] const torch::Tensor& at(const std::string& name) const { return *parameters_.find(name); }
};

class Vad : public torch::nn::Module {
 public:
  Vad() {
    stft_ = register_module("stft_conv", layer({{"weight", {258, 1, 256}}}));
    const std::int64_t sizes[][2] = {{129, 128}, {128, 64}, {64, 64}, {64, 128}};
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      const auto [in, out] = sizes[i];
      convolutions_.push_back(register_module("conv" + std::to_string(i + 1),
                                              layer({{"weight", {out, in, 3}}, {"bias", {out}}})));
    }
    lstm_ = register_module("lstm_cell", layer({{"weight_ih", {4 * kHidden, kHidden}},
                                                {"weight_hh", {4 * kHidden, kHidden}},
                                                {"bias_ih", {4 * kHidden}},
                                                {"bias_hh", {4 * kHidden}}}));
    final_ = register_module("final_conv", layer({{"weight", {1, kHidden, 1}}, {"bias", {1}}}));
    version_ = register_buffer("version", torch::zeros({}, torch::kInt64));
    register_buffer("checksum", torch::zeros({}, torch::kInt64));
  }

  [[nodiscard]] std::map<std::string, torch::Tensor> tensors() const {
    std::map<std::string, torch::Tensor> result;
    for (const auto& named : {named_parameters(), named_buffers()}) {
      for (const auto& item : named) result[item.key()] = item.value();
    }
    return result;
  }
  [[nodiscard]] std::int64_t version() const { return version_.item<std::int64_t>(); }

  // The probability of speech in each chunk of a stream, as a server gets them: one after the other.
  [[nodiscard]] std::vector<float> speech(const torch::Tensor& samples) const {
    const torch::Tensor padded = torch::constant_pad_nd(samples, {kContext, 0});
    torch::Tensor hidden = torch::zeros({1, kHidden}), cell = torch::zeros({1, kHidden});
    std::vector<float> result;
    for (std::int64_t at = 0; at + kChunk <= samples.size(0); at += kChunk) {
      const torch::Tensor seen = encode(padded.narrow(0, at, kContext + kChunk));
      std::tie(hidden, cell) =
          torch::lstm_cell(seen, {hidden, cell}, lstm_->at("weight_ih"), lstm_->at("weight_hh"),
                           lstm_->at("bias_ih"), lstm_->at("bias_hh"));
      const torch::Tensor said =
          torch::conv1d(hidden.relu().unsqueeze(2), final_->at("weight"), final_->at("bias"));
      result.push_back(said.sigmoid().item<float>());
    }
    return result;
  }

 private:
  using Shapes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;
  static std::shared_ptr<Layer> layer(const Shapes& shapes) { return std::make_shared<Layer>(shapes); }

  // 1 x kHidden features of one chunk and what came before it: magnitudes of a Fourier transform, then
  // convolutions.
  [[nodiscard]] torch::Tensor encode(const torch::Tensor& samples) const {
    torch::Tensor x = torch::reflection_pad1d(samples.unsqueeze(0), {0, kContext}).unsqueeze(1);
    x = torch::conv1d(x, stft_->at("weight"), {}, 128);
    x = (x.narrow(1, 0, 129).square() + x.narrow(1, 129, 129).square()).sqrt();
    const std::int64_t strides[] = {1, 2, 2, 1};
    for (std::size_t i = 0; i < convolutions_.size(); ++i) {
      const Layer& layer = *convolutions_[i];
      x = torch::conv1d(x, layer.at("weight"), layer.at("bias"), strides[i], 1).relu();
    }
    return x.squeeze(2);
  }

  std::shared_ptr<Layer> stft_, lstm_, final_;
  std::vector<std::shared_ptr<Layer>> convolutions_;
  torch::Tensor version_;
};

}  // namespace weights
