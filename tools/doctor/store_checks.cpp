#include <algorithm>
#include <string>

#include "checks.hpp"
#include "human.hpp"

namespace tensord::tools::doctor {
namespace {

constexpr std::uint64_t kNearlyFullPercent = 80;
constexpr std::uint64_t kMuchDyingPercent = 20;
// Below that nobody misses it.
constexpr std::uint64_t kWorthALook = std::uint64_t{64} << 20;

std::uint64_t percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0
             ? 0
             : static_cast<std::uint64_t>(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

Findings share(std::uint64_t has, std::uint64_t most, const std::string& what, const std::string& option,
               const std::string& error) {
  const std::string found = std::to_string(has) + " of " + std::to_string(most) + " " + what;
  if (percent(has, most) <= kNearlyFullPercent) return {ok(found)};
  return {advice(found, "start the daemon with a higher " + option, "no " + error + " at the last of them")};
}

}  // namespace

Findings check_kept(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  const std::string who = word_of(stats->kept_by);
  if (stats->kept_by != KeptBy::kNobody)
    return {ok("the store is kept by a " + who + ", and outlives its daemon")};
  return {advice(who + " keeps the store: it ends with the daemon",
                 "start it by `tensorctl start`, `tensord --keep` or systemd",
                 "a crash, a restart and an upgrade that lose nothing")};
}

Findings check_space(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  const std::uint64_t used = percent(stats->used_bytes, stats->limit_bytes);
  const std::string found = human_bytes(stats->used_bytes) + " of " + human_bytes(stats->limit_bytes) +
                            " are used (" + std::to_string(used) + " %)";
  if (used <= kNearlyFullPercent) return {ok(found)};
  return {
      advice(found,
             "delete what nobody needs (`tensorctl users` says who has how much), or start the daemon with a "
             "higher --max-bytes",
             "no OutOfSpaceError at the next large put")};
}

Findings check_dying(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  const std::string found = human_bytes(stats->dying_bytes) + " in " + std::to_string(stats->dying_tensors) +
                            " deleted tensors are still viewed by somebody";
  if (stats->dying_bytes < kWorthALook ||
      percent(stats->dying_bytes, stats->used_bytes) <= kMuchDyingPercent) {
    return {ok(found)};
  }
  return {advice(found, "`tensorctl holders` says who; they drop their views, or end",
                 human_bytes(stats->dying_bytes) + " more for new tensors")};
}

Findings check_fragmentation(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  // As long as there is room for a new segment, that is the largest piece, and holes are in nobody's way.
  const std::uint64_t free_bytes = stats->limit_bytes - std::min(stats->limit_bytes, stats->used_bytes);
  const std::string found = human_bytes(free_bytes) + " of the store are free, " +
                            human_bytes(stats->largest_free_bytes) + " of it in one piece";
  if (free_bytes < kWorthALook || stats->largest_free_bytes >= free_bytes / 4) return {ok(found)};
  return {advice(
      found,
      "start the daemon with --reserve on-demand, which gives the memory of holes back, or with a higher "
      "--max-bytes",
      "room for large tensors while " + human_bytes(free_bytes) + " are free")};
}

Findings check_slots(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  return share(std::uint64_t{stats->tensors} + stats->dying_tensors + stats->building_tensors,
               stats->max_tensors, "tensors", "--max-tensors", "OutOfSpaceError");
}

Findings check_connections(const Machine&, const Sight& sight) {
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {};
  return share(stats->connections, stats->max_connections, "connections", "--max-connections",
               "LimitReachedError");
}

}  // namespace tensord::tools::doctor
