#include <string>

#include "checks.hpp"
#include "human.hpp"

namespace tensord::tools::doctor {
namespace {

// What a process has open and mapped for other reasons.
constexpr std::uint64_t kOthers = 64;
constexpr std::uint64_t kOtherMaps = 2000;  // a Python with torch has some 1,500
// The daemon: socket, bell and ledger of a connection.
constexpr std::uint64_t kDescriptorsPerConnection = 3;
// A client that writes maps a segment twice.
constexpr std::uint64_t kMapsPerSegment = 2;

std::string bound(std::uint64_t number) {
  return number == UINT64_MAX ? "unlimited" : std::to_string(number);
}

Finding descriptors_of_client(const Machine::Limit& limit, std::uint64_t segments) {
  const std::string found = "this process may open " + bound(limit.soft) + " descriptors, and maps each of " +
                            std::to_string(segments) + " segments with one";
  if (limit.soft >= segments + kOthers) return ok(found);
  const bool can_be_raised = limit.hard >= segments + kOthers;
  return problem(
      found,
      can_be_raised
          ? "`ulimit -n " + bound(limit.hard) + "` in the shell that starts the clients"
          : "a higher hard limit (it is " + bound(limit.hard) +
                "): `* hard nofile 65536` in /etc/security/limits.conf, or LimitNOFILE= of the unit",
      "attach to every tensor; until then some fail with LimitReachedError");
}

Finding descriptors_of_daemon(const Machine::Limit& limit, const StoreStats& stats) {
  const std::uint64_t wanted = kDescriptorsPerConnection * stats.max_connections + stats.segments + kOthers;
  const std::string found = "the daemon may open " + bound(limit.soft) + " descriptors, and needs " +
                            std::to_string(wanted) + " for its " + std::to_string(stats.max_connections) +
                            " connections and " + std::to_string(stats.segments) + " segments";
  if (limit.soft >= wanted) return ok(found);
  return advice(found,
                "LimitNOFILE=infinity in its unit, a higher `ulimit -Hn` where it is started, or a smaller "
                "--max-connections",
                "all connections that --max-connections promises");
}

}  // namespace

Findings check_descriptors(const Machine& machine, const Sight& sight) {
  constexpr const char* kName = "Max open files";
  const auto own = machine.limit("self", kName);
  if (!own) return {};
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {ok("this process may open " + bound(own->soft) + " descriptors")};
  Findings findings{descriptors_of_client(*own, stats->segments)};
  if (sight.daemon->pid) {
    if (const auto its = machine.limit(*sight.daemon->pid, kName))
      findings.push_back(descriptors_of_daemon(*its, *stats));
  }
  return findings;
}

Findings check_maps(const Machine& machine, const Sight& sight) {
  const auto most = machine.number("/proc/sys/vm/max_map_count");
  if (!most) return {};
  std::string found = "a process may have " + std::to_string(*most) + " mappings (vm.max_map_count)";
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr) return {ok(found)};
  found += ", and has at most two for each of " + std::to_string(stats->segments) +
           " segments, and one for each torch() of a sealed tensor";
  const std::uint64_t wanted = kMapsPerSegment * stats->segments + kOtherMaps;
  if (*most >= wanted) return {ok(found)};
  return {problem(found, "`sysctl vm.max_map_count=" + std::to_string(4 * wanted) + "`",
                  "all segments mapped at once")};
}

Findings check_address_space(const Machine& machine, const Sight& sight) {
  const auto limit = machine.limit("self", "Max address space");
  if (!limit) return {};
  if (limit->soft == UINT64_MAX) return {ok("address space is not limited")};
  const std::string found =
      "this process may have " + human_bytes(limit->soft) + " of address space (ulimit -v)";
  const StoreStats* const stats = sight.stats();
  if (stats == nullptr || limit->soft > kMapsPerSegment * stats->reserved_bytes) return {ok(found)};
  return {problem(found + ", and the store's segments are " + human_bytes(stats->reserved_bytes) +
                      ", mapped twice by who writes",
                  "`ulimit -v unlimited`",
                  "all segments mapped at once; memory is bounded by a cgroup instead")};
}

}  // namespace tensord::tools::doctor
