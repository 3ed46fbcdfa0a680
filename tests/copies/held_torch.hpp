// Weights that are a torch::Tensor.
#pragma once

#include <torch/torch.h>

#include "held.hpp"

class HeldTensor : public Held {
 public:
  HeldTensor(tensord::View view, torch::Tensor tensor) : Held(std::move(view)), tensor_(std::move(tensor)) {}
  [[nodiscard]] std::vector<double> values() const override {
    const torch::Tensor copy = tensor_.to(torch::kFloat64).contiguous();
    const double* const first = copy.const_data_ptr<double>();
    return {first, first + copy.numel()};
  }
  bool fill(double value) override {
    tensor_.fill_(value);
    return true;
  }

 private:
  torch::Tensor tensor_;
};

inline std::unique_ptr<Held> hold(const tensord::View& view, const torch::Tensor& tensor) {
  return std::make_unique<HeldTensor>(view, tensor);
}
