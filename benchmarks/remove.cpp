// Does it take longer to delete a large tensor, and to take its place, than a small one?
//
// It should not: the daemon's event loop keeps accounts, and frees and touches no memory. The kernel counts
// the page faults of that one thread.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "processes.hpp"

namespace {

using namespace tensord;
using bench::Role;

void measure_all() {
  const test::DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::size_t large_bytes = 64 * bench::kMiB;

  const auto remove_and_reuse = [&store](const std::string& name, std::size_t size_bytes) {
    const auto length = static_cast<std::int64_t>(size_bytes / sizeof(float));
    return [&store, name, length] {
      store.remove(name);
      (void)store.build(name, kFloat32, {&length, 1}).publish();
    };
  };
  for (const std::size_t size_bytes : {std::size_t{4096}, large_bytes}) {
    const std::vector<float> elements(size_bytes / sizeof(float), 1.0f);
    store.put("bench/" + std::to_string(size_bytes), std::span<const float>(elements));
  }
  const auto large = remove_and_reuse("bench/" + std::to_string(large_bytes), large_bytes);
  bench::compare("delete and reuse", {{"bytes", large_bytes}}, 101,
                 {{"tensord: delete, build, publish: 64 MiB", Role::kOurs, 1, large},
                  {"the same with 4 KiB", Role::kFloor, 1, remove_and_reuse("bench/4096", 4096)}});

  constexpr std::size_t kTimes = 1'000;
  const std::uint64_t before = test::page_faults_of_main_thread(daemon.pid());
  for (std::size_t i = 0; i < kTimes; ++i) large();
  bench::count("delete and reuse", {{"bytes", large_bytes}, {"times", kTimes}},
               {{"page faults of the event loop", test::page_faults_of_main_thread(daemon.pid()) - before}});
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "remove", measure_all); }
