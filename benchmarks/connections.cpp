// How does the daemon's time grow with the number of connections?
//
// Each of them has attached a tensor of the segment in question, so that a delete has to look at the ledger
// of every one. They are idle otherwise.
#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"

namespace {

using namespace tensord;
using bench::Role;

void measure(const Store& store, std::size_t connections) {
  // So many that waking a daemon that fell asleep between two rounds is nothing.
  constexpr std::size_t kOperations = 500;
  const std::vector<float> elements(1024, 1.0f);
  const auto put = [&](int i) { store.put("bench/" + std::to_string(i), std::span<const float>(elements)); };
  const auto remove = [&](int i) { store.remove("bench/" + std::to_string(i)); };
  const auto all = [&](auto operation) {
    for (int i = 0; i < static_cast<int>(kOperations); ++i) operation(i);
  };
  bench::compare("with many connections", {{"connections", connections}}, 21,
                 {{"tensord: put 4 KiB", Role::kOurs, kOperations, [&] { all(put); }, [&] { all(remove); }},
                  {"tensord: delete",
                   Role::kOurs,
                   kOperations,
                   {},
                   {},
                   [&] {
                     all(put);
                     const std::int64_t begin = bench::now_ns();
                     all(remove);
                     return bench::now_ns() - begin;
                   }},
                  {"tensord: attach, detach", Role::kOurs, 40 * kOperations,
                   bench::times(40 * kOperations, [&] { bench::keep(store.attach("bench/all").data()); })}});
}

void measure_all() {
  // Socket and segment: two descriptors for each connection.
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const test::DaemonProcess daemon({"--max-connections", "2000"});
  const Store store = daemon.connect();
  const std::vector<float> elements(1024, 1.0f);
  store.put("bench/all", std::span<const float>(elements));

  std::vector<Store> others;
  std::vector<View> views;
  for (const std::size_t connections : {1, 10, 100, 1'000}) {
    if (bench::small() && connections > 10) break;
    while (others.size() + 1 < connections) {
      others.push_back(daemon.connect());
      views.push_back(others.back().attach("bench/all"));
    }
    measure(store, connections);
  }
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "connections", measure_all); }
