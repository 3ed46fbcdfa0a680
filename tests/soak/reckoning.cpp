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

std::optional<StoreFigures> figures_of(const test::KeptStore& kept, const Store& store) {
  const auto daemon = kernel_figures(test::KeptStore::daemon_pid(store));
  const auto keeper = kernel_figures(kept.keeper_pid());
  if (!daemon || !keeper) return std::nullopt;
  return StoreFigures{*daemon, *keeper};
}

// What one of the two processes has too much, or too little; empty if nothing.
std::string excess(const KernelFigures& at_rest, const KernelFigures& now, const StoreStats& stats) {
  std::string text = difference(at_rest.descriptors, now.descriptors);
  if (const std::string mappings = difference(at_rest.mappings, now.mappings); !mappings.empty()) {
    text += " (mapped: " + mappings + ")";
  }
  if (now.segments != stats.segments || now.segment_bytes != stats.reserved_bytes) {
    text += " " + std::to_string(now.segments) + " segments with " + std::to_string(now.segment_bytes) +
            " bytes behind them; the store says " + std::to_string(stats.segments) + ", " +
            std::to_string(stats.reserved_bytes);
  }
  return text;
}

// Once they are as they should be; says to the board what they are if they do not come to that.
std::optional<StoreFigures> settled_figures(const Actor& actor, const test::KeptStore& kept, const char* when,
                                            const std::optional<StoreFigures>& at_rest) {
  std::optional<StoreFigures> now;
  if (!at_rest) return now;
  std::string daemon, keeper;
  static_cast<void>(eventually([&] {
    const StoreStats stats = actor.store.stats();
    now = figures_of(kept, actor.store);
    if (!now) return false;
    daemon = excess(at_rest->daemon, now->daemon, stats);
    keeper = excess(at_rest->keeper, now->keeper, stats);
    return daemon.empty() && keeper.empty();
  }));
  if (!daemon.empty()) actor.board().leak(std::string(when) + ", the daemon: " + daemon);
  if (!keeper.empty()) actor.board().leak(std::string(when) + ", the keeper: " + keeper);
  return now;
}

}  // namespace

std::optional<StoreFigures> figures_at_rest(const test::KeptStore& kept) {
  // Of a daemon that was started by a keeper with a store, as any later one is.
  {
    const Store first = kept.connect();
    test::KeptStore::kill_daemon(first);
    first.put<std::uint64_t>("warm", std::vector<std::uint64_t>{1});
    first.remove("warm");
  }
  const Store store = kept.connect();
  static_cast<void>(eventually([&] { return is_at_rest(store.stats()); }));
  std::optional<StoreFigures> before;
  // Until that is over.
  for (int same = 0; same < 10;) {
    const auto now = figures_of(kept, store);
    if (!now) return std::nullopt;
    const StoreStats stats = store.stats();
    same = before && excess(before->daemon, now->daemon, stats).empty() &&
                   excess(before->keeper, now->keeper, stats).empty()
               ? same + 1
               : 0;
    before = now;
    ::usleep(20'000);
  }
  return before;
}

Reckoning reckon(const Scoreboard& board, const test::KeptStore& kept, std::uint64_t keep_warm_bytes,
                 const std::optional<StoreFigures>& at_rest) {
  Reckoning reckoning;
  Actor actor({board, kept.socket(), kMaxWorkers - 1, 1});
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
  reckoning.with_tensors = settled_figures(actor, kept, "with tensors", at_rest);

  for (const std::string& name : names) store.remove(name);
  const auto is_empty = [&] {
    const StoreStats now = store.stats();
    return is_at_rest(now) && now.tensors == 0 && now.used_bytes == 0 &&
           now.reserved_bytes <= keep_warm_bytes;
  };
  if (!eventually(is_empty)) board.leak("after all was deleted: " + text_of(store.stats()));
  reckoning.empty = settled_figures(actor, kept, "after all was deleted", at_rest);
  return reckoning;
}

}  // namespace tensord::soak
