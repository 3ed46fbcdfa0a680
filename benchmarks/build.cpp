// Does it cost anything to fill a tensor where it will lie, rather than an array of one's own?
//
// Both are filled by the same loop, and both are warm: the array has been filled before, the tensor takes
// the place of one that was deleted.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"

namespace {

using namespace tensord;
using bench::Role;

// Not inlined, so that every way has the same machine code.
[[gnu::noinline]] void fill(float* elements, std::size_t count, float value) {
  std::fill_n(elements, count, value);
  bench::keep(elements);
}

void measure_all() {
  const test::DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::size_t size_bytes = bench::small() ? bench::kMiB : 64 * bench::kMiB;
  const std::size_t count = size_bytes / sizeof(float);
  const auto length = static_cast<std::int64_t>(count);
  std::vector<float> array(count);
  float value = 0;

  const auto build = [&] {
    Builder builder = store.build("bench/built", kFloat32, {&length, 1}, {.replace = true});
    fill(reinterpret_cast<float*>(builder.mutable_data()), count, ++value);
    (void)builder.publish();
  };
  build();  // replace takes a second place before it gives up the first
  bench::compare("build in place", {{"bytes", size_bytes}}, 41,
                 {{"tensord: build, fill, publish", Role::kOurs, 1, build},
                  {"fill a private array", Role::kFloor, 1, [&] { fill(array.data(), count, ++value); }}});
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "build", measure_all); }
