// What a hundred thousand views cost the process that holds them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "allocations.hpp"
#include "catch.hpp"
#include "daemon_process.hpp"
#include "processes.hpp"

using namespace tensord;
using namespace tensord::test;

TEST_CASE("100,000 views held at once take at most 64 bytes each, and no map or descriptor of their own",
          "[counts]") {
  constexpr std::size_t kTensors = 100'000, kBatch = 1'000;
  const DaemonProcess daemon({"--max-tensors", std::to_string(kTensors)});
  const auto name_of = [](std::size_t i) { return "held/tensor." + std::to_string(i); };
  {
    const Store store = daemon.connect();
    const float element = 1;
    for (std::size_t first = 0; first < kTensors; first += kBatch) {
      std::vector<std::string> names;
      for (std::size_t i = first; i < first + kBatch; ++i) names.push_back(name_of(i));
      std::vector<PutItem> items;
      for (const std::string& name : names)
        items.push_back({name, {.dtype = kFloat32, .shape = {}, .data = &element}});
      (void)store.put_many(items);
    }
  }

  std::vector<View> views;
  views.reserve(kTensors);
  std::vector<std::string> names(kTensors);
  for (std::size_t i = 0; i < kTensors; ++i) names[i] = name_of(i);
  const std::size_t maps_before = own_maps(), descriptors_before = own_descriptors();
  const Store store = daemon.connect();
  const Allocations made = allocations_of([&] {
    for (const std::string& name : names) views.push_back(store.attach(name));
  });

  CHECK(views[kTensors / 2].as<float>()[0] == 1);
  // Meeting a segment for the first time may allocate; that is counted here, too.
  CHECK(sizeof(View) + static_cast<double>(made.size_bytes) / kTensors <= 64);
  const std::size_t segments = store.stats().segments;
  CHECK(own_maps() <= maps_before + 16 + segments);
  CHECK(own_descriptors() <= descriptors_before + 8 + segments);
}
