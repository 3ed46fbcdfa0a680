#include "reckoning.hpp"

#include <set>

#include "content.hpp"
#include "daemon_process.hpp"
#include "live_work.hpp"
#include "looking.hpp"
#include "range.hpp"
#include "shm/live_header.hpp"

namespace tensord::soak {
namespace {

using test::eventually;

constexpr std::uint64_t kLineBytes = 64;

// Of a tensor in its segment: whole cache lines, and one before a live one's first element.
std::uint64_t occupied_bytes(std::uint64_t words, Sort sort) {
  const std::uint64_t bytes = (words * sizeof(std::uint64_t) + kLineBytes - 1) / kLineBytes * kLineBytes;
  return bytes + (sort == Sort::kLive ? sizeof(shm::LiveHeader) : 0);
}

std::string text_of(const StoreStats& stats) {
  return "tensors " + std::to_string(stats.tensors) + ", dying " + std::to_string(stats.dying_tensors) +
         ", building " + std::to_string(stats.building_tensors) + ", connections " +
         std::to_string(stats.connections) + ", used " + std::to_string(stats.used_bytes) + ", reserved " +
         std::to_string(stats.reserved_bytes) + ", segments " + std::to_string(stats.segments);
}

bool is_at_rest(const StoreStats& stats) {
  return stats.connections == 1 && stats.dying_tensors == 0 && stats.building_tensors == 0;
}

// Everything of all ranges, against the board; returns what must be there.
std::set<std::string> look_at_everything(Actor& actor, Reckoning& reckoning) {
  const Scoreboard& board = actor.board();
  Looker looker(actor);
  std::set<std::string> names;
  for (unsigned range = 0; range < kRanges; ++range) {
    settle(looker, board, range);
    for (unsigned i = 0; i < kCells; ++i) {
      const Place place{range, i};
      const std::uint64_t stamp = board.cell(place).now;
      if (stamp == 0) continue;
      for (const std::string& name : names_of(place)) {
        names.insert(name);
        ++reckoning.tensors;
        reckoning.bytes += occupied_bytes(words_of(name, stamp, sizes_of(i)), sort_of(i));
      }
      if (sort_of(i) != Sort::kLive) continue;
      if (const auto view = actor.store.try_attach(names_of(place)[0], Mode::kReadWrite))
        repair(actor, *view, place);
    }
  }
  return names;
}

void compare(const Scoreboard& board, const char* when, const StoreStats& stats, const KernelFigures& at_rest,
             const std::optional<KernelFigures>& now) {
  if (!now) return;
  const auto wrong = [&](const std::string& what) { board.leak(std::string(when) + ": " + what); };
  if (const auto text = difference(at_rest.descriptors, now->descriptors); !text.empty())
    wrong("descriptors " + text);
  if (const auto text = difference(at_rest.mappings, now->mappings); !text.empty()) wrong("mappings " + text);
  if (now->segments != stats.segments || now->segment_bytes != stats.reserved_bytes) {
    wrong("memory of " + std::to_string(now->segments) + " segments, " + std::to_string(now->segment_bytes) +
          " bytes; the store says " + std::to_string(stats.segments) + ", " +
          std::to_string(stats.reserved_bytes));
  }
}

// The daemon's figures once they agree with what they should be; at the latest after a while.
std::optional<KernelFigures> settled_figures(const Store& store,
                                             const std::optional<KernelFigures>& at_rest) {
  std::optional<KernelFigures> now;
  if (!at_rest) return now;
  static_cast<void>(eventually([&] {
    const StoreStats stats = store.stats();
    now = kernel_figures(static_cast<pid_t>(stats.daemon_pid));
    return now && now->segments == stats.segments && now->segment_bytes == stats.reserved_bytes &&
           difference(at_rest->descriptors, now->descriptors).empty() &&
           difference(at_rest->mappings, now->mappings).empty();
  }));
  return now;
}

}  // namespace

std::optional<KernelFigures> figures_at_rest(const std::string& socket) {
  const Store store = Store::connect({socket, /*start=*/false});
  std::optional<KernelFigures> before;
  // Until the next ledger is made ready, which it is a moment after this connection.
  for (int same = 0; same < 10;) {
    const auto now = kernel_figures(static_cast<pid_t>(store.stats().daemon_pid));
    if (!now) return std::nullopt;
    same = before && difference(before->descriptors, now->descriptors).empty() &&
                   difference(before->mappings, now->mappings).empty()
               ? same + 1
               : 0;
    before = now;
    ::usleep(20'000);
  }
  return before;
}

Reckoning reckon(const Scoreboard& board, const std::string& socket, std::uint64_t keep_warm_bytes,
                 const std::optional<KernelFigures>& at_rest) {
  Reckoning reckoning;
  Actor actor({board, socket, kMaxWorkers - 1, 1});
  const Store& store = actor.store;
  if (!eventually([&] { return is_at_rest(store.stats()); })) {
    board.leak("after all clients: " + text_of(store.stats()));
  }

  const std::set<std::string> expected = look_at_everything(actor, reckoning);
  const std::vector<std::string> names = store.names();
  for (const std::string& name : names) {
    if (!expected.contains(name)) board.leak(name + " is there, and should not be");
  }
  for (const std::string& name : expected) {
    if (!store.contains(name)) board.fault(name + " is lost", 1);
  }
  const StoreStats stats = store.stats();
  if (!is_at_rest(stats) || stats.tensors != reckoning.tensors || stats.used_bytes != reckoning.bytes) {
    board.leak("of " + std::to_string(reckoning.tensors) + " tensors in " + std::to_string(reckoning.bytes) +
               " bytes: " + text_of(stats));
  }
  reckoning.with_tensors = settled_figures(store, at_rest);
  if (at_rest) compare(board, "with tensors", store.stats(), *at_rest, reckoning.with_tensors);

  for (const std::string& name : names) store.remove(name);
  const auto is_empty = [&] {
    const StoreStats now = store.stats();
    return is_at_rest(now) && now.tensors == 0 && now.used_bytes == 0 &&
           now.reserved_bytes <= keep_warm_bytes;
  };
  if (!eventually(is_empty)) board.leak("after all was deleted: " + text_of(store.stats()));
  reckoning.empty = settled_figures(store, at_rest);
  if (at_rest) compare(board, "after all was deleted", store.stats(), *at_rest, reckoning.empty);
  return reckoning;
}

}  // namespace tensord::soak
