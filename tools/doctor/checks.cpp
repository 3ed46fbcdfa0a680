#include "checks.hpp"

#include <array>

namespace tensord::tools::doctor {

std::span<const Check> all_checks() {
  static constexpr auto kChecks = std::to_array<Check>({
      {"kernel", "Does this kernel have all that tensord uses?", Level::kAdvice, check_kernel},
      {"sealed-memory", "May this process make sealed shared memory (memfd)?", Level::kProblem,
       check_sealed_memory},
      {"container", "Is this a container, and does it have the host's store?", Level::kAdvice,
       check_container},
      {"huge-pages", "Do tensors lie on pages of 2 MiB?", Level::kAdvice, check_huge_pages},
      {"huge-page-pool", "Is memory set aside that tensord cannot use?", Level::kAdvice,
       check_huge_page_pool},
      {"numa", "Has the machine more than one memory node?", Level::kAdvice, check_numa},
      {"memory", "Can the machine give what the store may take?", Level::kProblem, check_memory},
      {"cgroup", "Does a memory cgroup bound the store below its own limit?", Level::kAdvice, check_cgroup},
      {"shm", "Does the size of /dev/shm matter? (No.)", Level::kOk, check_shm},
      {"overcommit", "Does the kernel count address space as memory?", Level::kProblem, check_overcommit},
      {"swap", "Can tensors be swapped out?", Level::kAdvice, check_swap},
      {"oom", "Whom does the kernel end when memory runs out?", Level::kAdvice, check_oom},
      {"descriptors", "Are there enough descriptors for all segments and connections?", Level::kProblem,
       check_descriptors},
      {"maps", "May a process map all segments?", Level::kProblem, check_maps},
      {"address-space", "Is there address space for all segments?", Level::kProblem, check_address_space},
      {"socket", "Which sockets are there, and does somebody serve them?", Level::kProblem, check_socket},
      {"other-daemons", "Does more than one daemon serve this user?", Level::kAdvice, check_other_daemons},
      {"socket-folder", "Can nobody but the daemon's user replace the socket?", Level::kProblem,
       check_socket_folder},
      {"runtime-folder", "Is XDG_RUNTIME_DIR this user's own?", Level::kProblem, check_runtime_folder},
      {"remove-ipc", "Does RemoveIPC= of logind matter? (No.)", Level::kOk, check_remove_ipc},
      {"lingering", "Does the store outlive this user's logout?", Level::kAdvice, check_lingering},
      {"systemd", "Does systemd keep the store over a restart?", Level::kProblem, check_systemd},
      {"program", "Is there a daemon to start?", Level::kProblem, check_program},
      {"versions", "Do tensorctl and the daemon fit together?", Level::kProblem, check_versions},
      {"replaced-program", "Does the daemon run the program that is installed?", Level::kAdvice,
       check_replaced_program},
      {"python", "Does the Python package fit?", Level::kAdvice, check_python},
      {"kept", "Does the store outlive its daemon?", Level::kAdvice, check_kept},
      {"space", "Is the store nearly full?", Level::kAdvice, check_space},
      {"dying", "Is memory kept by views of deleted tensors?", Level::kAdvice, check_dying},
      {"fragmentation", "Is free memory in pieces?", Level::kAdvice, check_fragmentation},
      {"tensors", "Are the slots for tensors nearly used up?", Level::kAdvice, check_slots},
      {"connections", "Are the connections nearly used up?", Level::kAdvice, check_connections},
  });
  return kChecks;
}

}  // namespace tensord::tools::doctor
