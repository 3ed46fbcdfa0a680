// Checks: what `tensorctl doctor` looks at, one function each.
//
// A check takes what can be seen and returns what it found, at least one finding if there is anything to say
// of this machine; it changes nothing. The figures in `buys` are measured: docs/doctor.md says on which page.
#pragma once

#include <span>

#include "finding.hpp"
#include "machine.hpp"
#include "sight.hpp"

namespace tensord::tools::doctor {

struct Check {
  const char* name;  // as in the output and in docs/doctor.md
  const char* asks;  // the question that it answers
  Level worst;       // that it may find
  Findings (*look)(const Machine& machine, const Sight& sight);
};

// In the order in which they are made: from the machine, which bears all, to the store.
[[nodiscard]] std::span<const Check> all_checks();

// ---- kernel_checks.cpp: what the kernel has, and lets this process have ----
Findings check_kernel(const Machine& machine, const Sight& sight);
Findings check_sealed_memory(const Machine& machine, const Sight& sight);
Findings check_container(const Machine& machine, const Sight& sight);
Findings check_huge_pages(const Machine& machine, const Sight& sight);
Findings check_huge_page_pool(const Machine& machine, const Sight& sight);
Findings check_numa(const Machine& machine, const Sight& sight);

// ---- memory_checks.cpp: how much there is, and who may take it away ----
Findings check_memory(const Machine& machine, const Sight& sight);
Findings check_cgroup(const Machine& machine, const Sight& sight);
Findings check_shm(const Machine& machine, const Sight& sight);
Findings check_overcommit(const Machine& machine, const Sight& sight);
Findings check_swap(const Machine& machine, const Sight& sight);
Findings check_oom(const Machine& machine, const Sight& sight);

// ---- limit_checks.cpp: the limits of processes ----
Findings check_descriptors(const Machine& machine, const Sight& sight);
Findings check_maps(const Machine& machine, const Sight& sight);
Findings check_address_space(const Machine& machine, const Sight& sight);

// ---- socket_checks.cpp: where the daemon is, and for whom ----
Findings check_socket(const Machine& machine, const Sight& sight);
Findings check_other_daemons(const Machine& machine, const Sight& sight);
Findings check_socket_folder(const Machine& machine, const Sight& sight);
Findings check_runtime_folder(const Machine& machine, const Sight& sight);

// ---- session_checks.cpp: what systemd does with services and with who logs out ----
Findings check_remove_ipc(const Machine& machine, const Sight& sight);
Findings check_lingering(const Machine& machine, const Sight& sight);
Findings check_systemd(const Machine& machine, const Sight& sight);

// ---- version_checks.cpp: what is installed, and what runs ----
Findings check_program(const Machine& machine, const Sight& sight);
Findings check_versions(const Machine& machine, const Sight& sight);
Findings check_replaced_program(const Machine& machine, const Sight& sight);
Findings check_python(const Machine& machine, const Sight& sight);

// ---- store_checks.cpp: how the store is ----
Findings check_kept(const Machine& machine, const Sight& sight);
Findings check_space(const Machine& machine, const Sight& sight);
Findings check_dying(const Machine& machine, const Sight& sight);
Findings check_fragmentation(const Machine& machine, const Sight& sight);
Findings check_slots(const Machine& machine, const Sight& sight);
Findings check_connections(const Machine& machine, const Sight& sight);

}  // namespace tensord::tools::doctor
