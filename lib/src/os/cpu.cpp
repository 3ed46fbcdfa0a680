#include "os/cpu.hpp"

#include <sched.h>

namespace tensord::os {

std::uint32_t this_cpu() { return static_cast<std::uint32_t>(::sched_getcpu()); }

bool only_one_cpu() {
  static const bool only_one = [] {
    cpu_set_t allowed;
    return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
  }();
  return only_one;
}

void leave_cpu(std::uint32_t cpu) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  if (cpu < CPU_SETSIZE) CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || ::sched_setaffinity(0, sizeof others, &others) != 0) return;
  ::sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace tensord::os
