// What a user writes who brings his own LibTorch.
#include <torch/torch.h>

#include <tensord/torch.hpp>

int main() {
  const auto store = tensord::Store::connect({.socket = {}, .start = false});
  tensord::put(store, "demo/ramp", torch::arange(3, torch::kFloat32));
  const torch::Tensor ramp = tensord::as_torch(store.attach("demo/ramp"));
  return ramp.sum().item<float>() == 3 ? 0 : 1;
}
