// A client with 10,000 pins on deleted tensors is killed: when is their memory free?
//
// Not before the kernel hangs up the client's sockets, which takes it the longer the more that client had
// mapped. That is the floor; a bare socket to the same process, watched meanwhile, tells when it was.
#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "partner.hpp"

namespace {

using namespace tensord;
using bench::Role;

// From SIGKILL on, in ns.
struct Times {
  std::int64_t hung_up = 0;
  std::int64_t reclaimed = 0;
};

Times kill_and_wait(const test::DaemonProcess& daemon, const Store& store,
                    const std::vector<std::string>& names) {
  const std::vector<float> elements(1024, 1.0f);
  const auto length = static_cast<std::int64_t>(elements.size());
  std::vector<PutItem> items;
  for (const std::string& name : names)
    items.push_back({name, {.dtype = kFloat32, .shape = {&length, 1}, .data = elements.data()}});
  (void)store.put_many(items);

  bench::Partner client([&] {
    auto own = std::make_shared<Store>(daemon.connect());
    auto views = std::make_shared<std::vector<View>>();
    return [&, own, views](char) {
      std::int64_t sum = 0;
      for (const std::string& name : names) {
        views->push_back(own->attach(name));
        sum += static_cast<std::int64_t>(*views->back().data());
      }
      return sum;
    };
  });
  client.ask('a');
  const Store mine = daemon.connect();  // after the fork
  for (const std::string& name : names) mine.remove(name);
  if (mine.stats().dying_tensors != names.size()) throw std::runtime_error("the pins do not hold");

  Times times;
  const std::int64_t begin = bench::now_ns();
  client.kill();
  pollfd hang_up{client.socket(), 0, 0};
  while (::poll(&hang_up, 1, 0) == 0) {
  }
  times.hung_up = bench::now_ns() - begin;
  while (mine.stats().dying_tensors != 0) {
  }
  times.reclaimed = bench::now_ns() - begin;
  return times;
}

void measure_all() {
  const test::DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<std::string> names;
  const std::size_t pins = bench::small() ? 100 : 10'000;
  for (std::size_t i = 0; i < pins; ++i) names.push_back("bench/" + std::to_string(i));

  // Both figures are of one death, whichever of them is asked for first.
  Times times;
  bool used_ours = true, used_floor = true;
  const auto next = [&](bool& used) {
    if (used) {
      times = kill_and_wait(daemon, store, names);
      used_ours = used_floor = false;
    }
    used = true;
    return times;
  };
  bench::compare(
      "reclaim after SIGKILL", {{"pins", pins}}, 15,
      {{"tensord: all bytes free again", Role::kOurs, 1, {}, {}, [&] { return next(used_ours).reclaimed; }},
       {"the kernel hangs up", Role::kFloor, 1, {}, {}, [&] { return next(used_floor).hung_up; }}});
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "reclaim", measure_all); }
