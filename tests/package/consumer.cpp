// What a user writes who has no LibTorch. Each of the projects here builds it in another way.
#include <array>
#include <span>

#include <tensord/tensord.hpp>

int main() {
  const auto store = tensord::Store::connect({.socket = {}, .start = false});
  const std::array<float, 3> ramp{0, 1, 2};
  store.put("demo/ramp", std::span<const float>(ramp));
  const tensord::View view = store.attach("demo/ramp");
  return view.as<float>()[2] == 2 ? 0 : 1;
}
