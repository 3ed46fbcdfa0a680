// What does it take to hold 100,000 tensors at once: descriptors, maps, memory?
#include <dirent.h>
#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "partner.hpp"

namespace {

using namespace tensord;

std::uint64_t descriptors() {
  std::uint64_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count - 3;  // ".", "..", and the folder itself
}

std::uint64_t maps() {
  std::ifstream file("/proc/self/maps");
  return static_cast<std::uint64_t>(
      std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n'));
}

void put_all(const test::DaemonProcess& daemon, const std::vector<std::string>& names) {
  constexpr std::size_t kBatch = 1'000;
  const Store store = daemon.connect();
  const std::vector<float> elements(1024, 1.0f);
  const auto length = static_cast<std::int64_t>(elements.size());
  std::vector<PutItem> items;
  for (std::size_t i = 0; i < names.size(); ++i) {
    items.push_back({names[i], {.dtype = kFloat32, .shape = {&length, 1}, .data = elements.data()}});
    if (items.size() < kBatch && i + 1 < names.size()) continue;
    (void)store.put_many(items);
    items.clear();
  }
}

void measure_all() {
  struct Counted {
    std::uint64_t descriptors, maps, bytes, segments;
  };
  const std::size_t tensors = bench::small() ? 1'000 : 100'000;
  const test::DaemonProcess daemon({"--max-tensors", std::to_string(tensors)});
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tensors; ++i) names.push_back("bench/" + std::to_string(i));
  put_all(daemon, names);

  // In a process that has done nothing before: what it has more while it holds them than before it connected.
  const bench::Shared<Counted> counted;
  const int status = test::in_child([&] {
    // Large pieces of memory are maps of their own, but they are the caller's vector and not our doing.
    std::vector<View> views;
    views.reserve(names.size());
    const std::uint64_t descriptors_before = descriptors(), maps_before = maps();
    const Store store = daemon.connect();
    (void)store.attach(names.front());  // whatever a connection and a segment take once
    const auto bytes_before = ::mallinfo2();
    for (const std::string& name : names) views.push_back(store.attach(name));
    const auto bytes = ::mallinfo2();
    counted->descriptors = descriptors() - descriptors_before;
    counted->maps = maps() - maps_before;
    counted->bytes = bytes.uordblks + bytes.hblkhd - bytes_before.uordblks - bytes_before.hblkhd;
    counted->segments = store.stats().segments;
    return 0;
  });
  if (status != 0) throw std::runtime_error("the process that holds them failed");
  bench::count("hold", {{"tensors", tensors}},
               {{"descriptors", counted->descriptors},
                {"maps", counted->maps},
                {"segments", counted->segments},
                {"descriptors beyond one a segment", counted->descriptors - counted->segments},
                {"maps beyond one a segment", counted->maps - counted->segments},
                {"bytes a view", sizeof(View) + counted->bytes / tensors}});
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "hold", measure_all); }
