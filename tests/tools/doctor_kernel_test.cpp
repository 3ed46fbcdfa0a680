// `tensorctl doctor` and the kernel: machines that this one is not, as files in a folder.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "daemon_process.hpp"
#include "patient.hpp"
#include "seccomp.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr const char* kShmemSetting = "sys/kernel/mm/transparent_hugepage/shmem_enabled";

}  // namespace

TEST_CASE("doctor: an old kernel is told to have no huge pages, a new one to have all", "[doctor]") {
  Patient patient;
  patient.files.write("proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
  CHECK(patient.finding("kernel").level == Level::kAdvice);
  CHECK_THAT(patient.finding("kernel").found, contains_text("Linux 5.15.0-91-generic has no"));
  CHECK_THAT(patient.finding("kernel").change, contains_text("6.1"));
  for (const char* release : {"6.1.0-18-amd64\n", "6.18.44\n", "7.0\n"}) {
    patient.files.write("proc/sys/kernel/osrelease", release);
    CHECK(patient.finding("kernel").level == Level::kOk);
  }
  patient.files.write("proc/sys/kernel/osrelease", "garbage");
  CHECK(patient.findings("kernel").empty());
}

TEST_CASE("doctor: a process that may make no memfd is told so, with the system's words", "[doctor]") {
  CHECK(tools::doctor::Machine().why_no_sealed_memory().empty());
  // The real call, under a filter as a container's profile may be.
  const int status = in_child([] {
    const auto rules = std::to_array<sock_filter>({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
    auto copy = rules;
    if (!install_seccomp_filter(copy)) return 77;
    const tools::doctor::Findings found = tools::doctor::check_sealed_memory(tools::doctor::Machine(), {});
    const bool is_told = found.size() == 1 && found[0].level == Level::kProblem &&
                         found[0].found.find("memfd_create: Operation not permitted") != std::string::npos &&
                         found[0].change.find("seccomp") != std::string::npos;
    return is_told ? 0 : 1;
  });
  if (WEXITSTATUS(status) == 77) {
    WARN("skipped: this kernel installs no filter");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("doctor: a container that sees no daemon is told how to share the host's", "[doctor]") {
  Patient patient;
  CHECK(patient.finding("container").found == "not in a container");
  patient.files.write("proc/self/cgroup", "0::/system.slice/docker-abc.scope\n");
  CHECK(patient.finding("container").level == Level::kAdvice);
  patient.files.write(".dockerenv", "");
  CHECK_THAT(patient.finding("container").found, contains_text("in a container (/.dockerenv)"));
  CHECK_THAT(patient.finding("container").change, contains_text("docker run -v"));
  patient.runs();
  CHECK(patient.finding("container").level == Level::kOk);
}

TEST_CASE("doctor: huge pages that are refused are told with the setting that does it", "[doctor]") {
  Patient patient;
  patient.machine.grants_huge_pages = [] { return false; };
  CHECK_THAT(patient.finding("huge-pages").change, contains_text("CONFIG_TRANSPARENT_HUGEPAGE"));
  patient.files.write(kShmemSetting, "always within_size advise never [deny] force\n");
  CHECK_THAT(patient.finding("huge-pages").found, contains_text("shmem_enabled: deny"));
  CHECK_THAT(patient.finding("huge-pages").change,
             contains_text("echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled"));
  patient.files.write(kShmemSetting, "always within_size advise [never] deny force\n");
  CHECK_THAT(patient.finding("huge-pages").change, contains_text("compact_memory"));
  patient.files.write("proc/self/status", "Name:\tx\nTHP_enabled:\t0\n");
  CHECK_THAT(patient.finding("huge-pages").change, contains_text("PR_SET_THP_DISABLE"));
}

TEST_CASE("doctor: huge pages that are granted are told with what the store got of them", "[doctor]") {
  Patient patient;
  patient.files.write(kShmemSetting, "always within_size advise [never] deny force\n");
  CHECK(patient.finding("huge-pages").level == Level::kOk);
  CHECK_THAT(patient.finding("huge-pages").found, contains_text("says \"never\""));

  patient.files.write("proc/meminfo", "ShmemHugePages:    1048576 kB\nShmemPmdMapped:  5 kB\n");
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("huge-pages").found ==
        "granted: 1 GiB of this machine's shared memory lie on them, the store has 2 GiB");
  patient.files.write("proc/meminfo", "ShmemHugePages:    0 kB\n");
  CHECK(patient.finding("huge-pages").level == Level::kAdvice);
  CHECK_THAT(patient.finding("huge-pages").found, contains_text("none of the store's 2 GiB"));
  stats.reserved_bytes = 4096;  // in which there is no room for one
  CHECK(patient.finding("huge-pages").level == Level::kOk);

  patient.runs({"--huge-pages", "never"});
  CHECK_THAT(patient.finding("huge-pages").found, contains_text("started with --huge-pages never"));
  patient.runs({"--huge-pages=never"});
  CHECK(patient.finding("huge-pages").level == Level::kAdvice);
}

TEST_CASE("doctor: memory set aside for hugetlb is told if nobody uses it", "[doctor]") {
  Patient patient;
  CHECK(patient.finding("huge-page-pool").level == Level::kOk);
  patient.files.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", std::uint64_t{512});
  patient.files.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", std::uint64_t{500});
  const Finding finding = patient.finding("huge-page-pool");
  CHECK_THAT(finding.found, contains_text("1 GiB are set aside"));
  CHECK_THAT(finding.change, contains_text("vm.nr_hugepages=12"));
  CHECK_THAT(finding.buys, contains_text("1000 MiB more"));
  patient.files.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", std::uint64_t{0});
  CHECK(patient.finding("huge-page-pool").level == Level::kOk);
}

TEST_CASE("doctor: several memory nodes are told", "[doctor]") {
  Patient patient;
  patient.files.write("sys/devices/system/node/node0/cpulist", "0-3");
  CHECK(patient.finding("numa").found == "one memory node");
  patient.files.write("sys/devices/system/node/node1/cpulist", "4-7");
  CHECK(patient.finding("numa").level == Level::kAdvice);
  CHECK_THAT(patient.finding("numa").found, contains_text("2 memory nodes"));
}
