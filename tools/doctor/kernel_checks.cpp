#include <algorithm>
#include <string>

#include "checks.hpp"
#include "human.hpp"
#include "os/pages.hpp"

namespace tensord::tools::doctor {
namespace {

constexpr const char* kHugePagesFolder = "/sys/kernel/mm/transparent_hugepage";
// docs/decisions/huge-pages.md
constexpr const char* kHugePagesBuy =
    "a put of 64 MiB into new memory takes 13 to 18 ms instead of 70, and the first look at it by another "
    "process "
    "0.3 ms instead of 3.6";
// With less in the store, none on huge pages means nothing yet.
constexpr std::uint64_t kWorthALook = std::uint64_t{64} << 20;

std::string container_sign(const Machine& machine) {
  for (const char* file : {"/.dockerenv", "/run/.containerenv", "/run/systemd/container"}) {
    if (machine.exists(file)) return file;
  }
  const std::string groups = machine.text("/proc/self/cgroup").value_or("");
  for (const char* word : {"docker", "kubepods", "libpod", "/lxc"}) {
    if (groups.find(word) != std::string::npos) return "/proc/self/cgroup";
  }
  return {};
}

// Why MADV_COLLAPSE found nothing, as far as that can be seen from here.
Finding no_huge_pages(const Machine& machine) {
  const std::string setting =
      machine.chosen(std::string(kHugePagesFolder) + "/shmem_enabled").value_or("absent");
  const std::string found = "no huge pages for shared memory (shmem_enabled: " + setting + ")";
  if (setting == "absent") {
    return advice(found, "a kernel with CONFIG_TRANSPARENT_HUGEPAGE", kHugePagesBuy);
  }
  if (setting == "deny") {
    return advice(found, "`echo never > " + std::string(kHugePagesFolder) + "/shmem_enabled` as root",
                  kHugePagesBuy);
  }
  if (machine.field("/proc/self/status", "THP_enabled") == "0") {
    return advice(found + ", for this process has them switched off",
                  "start it from a program that does not call prctl(PR_SET_THP_DISABLE)", kHugePagesBuy);
  }
  return advice(found + ", for this kernel cannot (it takes Linux 6.1), or finds no 2 MiB in one piece",
                "`echo 1 > /proc/sys/vm/compact_memory` as root, and look again", kHugePagesBuy);
}

}  // namespace

Findings check_kernel(const Machine& machine, const Sight&) {
  const std::string release = machine.text("/proc/sys/kernel/osrelease").value_or("");
  const auto major = leading_number(release);
  const auto minor = leading_number(release.substr(std::min(release.find('.') + 1, release.size())));
  if (!major || !minor) return {};
  const std::string version = "Linux " + release.substr(0, release.find('\n'));
  if (*major > 6 || (*major == 6 && *minor >= 1)) return {ok(version + " has all that tensord uses")};
  return {advice(version + " has no huge pages for who is no administrator (MADV_COLLAPSE)",
                 "Linux 6.1 or newer", kHugePagesBuy)};
}

Findings check_sealed_memory(const Machine& machine, const Sight&) {
  const std::string refusal = machine.why_no_sealed_memory();
  if (refusal.empty()) return {ok("sealed shared memory can be made (tried)")};
  return {problem(
      "no sealed shared memory can be made: " + refusal,
      "allow memfd_create, fallocate and fcntl(F_ADD_SEALS) in the seccomp or AppArmor profile of this "
      "container or unit (Docker's default profile does)",
      "a daemon that starts here: without them none can hold a tensor")};
}

Findings check_container(const Machine& machine, const Sight& sight) {
  const std::string sign = container_sign(machine);
  if (sign.empty()) return {ok("not in a container")};
  const std::string found = "in a container (" + sign + ")";
  if (sight.daemon)
    return {ok(found + ", and the store is there: neither --ipc=host nor --shm-size is needed")};
  return {advice(
      found + " that sees no daemon; connect() would start one for this container alone",
      "to share the host's: `docker run -v /run/tensord:/run/tensord …` (the folder, for the socket in it "
      "changes), or another folder and TENSORD_SOCKET",
      "one store for the host and its containers, without a copy")};
}

Findings check_huge_pages(const Machine& machine, const Sight& sight) {
  if (!machine.grants_huge_pages()) return {no_huge_pages(machine)};
  const std::string setting =
      machine.chosen(std::string(kHugePagesFolder) + "/shmem_enabled").value_or("unknown");
  const std::string found =
      "granted (tried; shmem_enabled says \"" + setting + "\", which only \"deny\" would change)";
  if (!sight.daemon) return {ok(found)};
  if (sight.daemon->was_given("--huge-pages", "never")) {
    return {advice("the daemon was started with --huge-pages never, and the kernel would grant them",
                   "start it without", kHugePagesBuy)};
  }
  const StoreStats* const stats = sight.stats();
  const auto huge_bytes = machine.memory_bytes("ShmemHugePages");
  if (stats == nullptr || !huge_bytes || stats->reserved_bytes < kWorthALook) return {ok(found)};
  if (*huge_bytes > 0) {
    return {ok("granted: " + human_bytes(*huge_bytes) +
               " of this machine's shared memory lie on them, the store has " +
               human_bytes(stats->reserved_bytes))};
  }
  return {advice("granted to this process, and yet none of the store's " +
                     human_bytes(stats->reserved_bytes) + " lies on them",
                 "look for \"huge pages\" in the daemon's log (`journalctl -u tensord`, or " +
                     sight.place().socket +
                     ".log): TENSORD_HUGE_PAGES=never, or memory in pieces when they were asked for",
                 kHugePagesBuy)};
}

Findings check_huge_page_pool(const Machine& machine, const Sight&) {
  const std::uint64_t free_pages =
      machine.number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").value_or(0);
  const std::uint64_t pages =
      machine.number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").value_or(0);
  if (pages == 0) return {ok("no memory is set aside for hugetlb, which tensord does not use")};
  const std::string found = human_bytes(pages * os::kHugePageBytes) +
                            " are set aside for hugetlb (vm.nr_hugepages = " + std::to_string(pages) +
                            "), which tensord does not use";
  if (free_pages == 0) return {ok(found + "; all of it is in use by others")};
  return {advice(
      found,
      "unless another program wants them: `sysctl vm.nr_hugepages=" + std::to_string(pages - free_pages) +
          "`",
      human_bytes(free_pages * os::kHugePageBytes) + " more for tensors, which get huge pages without it")};
}

Findings check_numa(const Machine& machine, const Sight&) {
  std::size_t nodes = 0;
  while (machine.is_folder("/sys/devices/system/node/node" + std::to_string(nodes))) ++nodes;
  if (nodes < 2) return {ok("one memory node")};
  return {advice(std::to_string(nodes) +
                     " memory nodes: segments lie on the one that the daemon runs on when it makes "
                     "them",
                 "`numactl --interleave=all tensord --keep --background`, or NUMAPolicy=interleave with "
                 "NUMAMask=all in a "
                 "drop-in of tensord.service",
                 "readers on all nodes share the bandwidth of all (not measured by us)")};
}

}  // namespace tensord::tools::doctor
