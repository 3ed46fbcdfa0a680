// `tensorctl doctor` and memory.
#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

void put_into_group(const Patient& patient, const std::string& process, std::uint64_t limit_bytes) {
  patient.files.write("proc/self/mountinfo", "30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  patient.files.write("proc/" + process + "/cgroup", "0::/box\n");
  patient.files.write("sys/fs/cgroup/box/memory.max", limit_bytes);
  patient.files.write("sys/fs/cgroup/box/memory.current", std::uint64_t{0});
}

}  // namespace

TEST_CASE("doctor: a store that may take more than the machine has is told the figure that it can have",
          "[doctor]") {
  Patient patient;
  CHECK_THAT(patient.finding("memory").found, contains_text("the machine can give 7.5 GiB of its 16 GiB"));
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("memory").level == Level::kOk);
  stats.limit_bytes = 64 * kGiB;
  CHECK(patient.finding("memory").level == Level::kAdvice);
  CHECK_THAT(patient.finding("memory").found, contains_text("may take 62 GiB more"));
  CHECK_THAT(patient.finding("memory").change, contains_text("--max-bytes 9728MiB"));  // 2 GiB and 7.5
  patient.runs({"--reserve", "on-demand"}).limit_bytes = 64 * kGiB;  // which is address space
  CHECK(patient.finding("memory").level == Level::kOk);
}

TEST_CASE("doctor: a machine without memory to give is a problem", "[doctor]") {
  Patient patient;
  patient.files.has_available(1 << 20);
  CHECK(patient.finding("memory").level == Level::kProblem);
}

TEST_CASE("doctor: the memory cgroup that counts is the daemon's, if it can be seen", "[doctor]") {
  Patient patient;
  CHECK(patient.finding("cgroup").found == "no memory cgroup bounds this process");
  put_into_group(patient, "self", kGiB);
  CHECK_THAT(patient.finding("cgroup").found,
             contains_text("of this process is bounded to 1 GiB of the machine's 16 GiB"));
  patient.runs();
  CHECK(patient.finding("cgroup").found == "no memory cgroup bounds the daemon");
  put_into_group(patient, "77", kGiB);
  CHECK(patient.finding("cgroup").level == Level::kAdvice);
  CHECK_THAT(patient.finding("cgroup").found,
             contains_text("the daemon is bounded to 1 GiB") && contains_text("the store to more: 4 GiB"));
  CHECK_THAT(patient.finding("cgroup").change, contains_text("MemoryMax="));
  put_into_group(patient, "77", 8 * kGiB);
  CHECK(patient.finding("cgroup").level == Level::kOk);
}

TEST_CASE("doctor: a small /dev/shm is said not to matter", "[doctor]") {
  Patient patient;
  patient.files.write("proc/self/mountinfo", "25 24 0:23 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k\n");
  CHECK_THAT(patient.finding("shm").found, contains_text("/dev/shm has 64 MiB only, which does not matter"));
  patient.files.write("proc/self/mountinfo",
                      "25 24 0:23 / /dev/shm rw,nosuid - tmpfs shm rw,size=8388608k\n");
  CHECK(patient.finding("shm").found == "tensord keeps nothing in /dev/shm");
}

TEST_CASE("doctor: strict overcommit is told with what is left to promise", "[doctor]") {
  Patient patient;
  patient.files.write("proc/sys/vm/overcommit_memory", "1\n");
  CHECK(patient.finding("overcommit").level == Level::kOk);
  patient.files.write("proc/sys/vm/overcommit_memory", "2\n");
  patient.files.write("proc/meminfo", "CommitLimit: 8388608 kB\nCommitted_AS: 5242880 kB\n");
  CHECK(patient.finding("overcommit").level == Level::kAdvice);
  CHECK_THAT(patient.finding("overcommit").found, contains_text("3 GiB of 8 GiB are left to promise"));
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("overcommit").level == Level::kAdvice);
  stats.limit_bytes = 6 * kGiB;
  CHECK(patient.finding("overcommit").level == Level::kProblem);
  CHECK_THAT(patient.finding("overcommit").found, contains_text("the store may want 4 GiB more"));
}

TEST_CASE("doctor: swap space is told once it is used", "[doctor]") {
  Patient patient;
  patient.files.write("proc/sys/vm/swappiness", "60\n");
  CHECK_THAT(patient.finding("swap").found, contains_text("no swap space"));
  patient.files.write("proc/meminfo", "SwapTotal: 2097152 kB\nSwapFree: 2097152 kB\n");
  CHECK(patient.finding("swap").level == Level::kOk);
  patient.files.write("proc/meminfo", "SwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n");
  CHECK_THAT(patient.finding("swap").found,
             contains_text("1 GiB of 2 GiB swap space are in use (vm.swappiness = 60)"));
  CHECK_THAT(patient.finding("swap").change, contains_text("MemorySwapMax=0"));
  patient.files.write("proc/sys/vm/swappiness", "1\n");
  CHECK(patient.finding("swap").level == Level::kOk);
}

TEST_CASE("doctor: a daemon that the kernel ends sooner than others is told", "[doctor]") {
  Patient patient;
  CHECK(patient.findings("oom").empty());
  patient.runs();
  patient.files.write("proc/77/oom_score_adj", "-900\n");
  CHECK_THAT(patient.finding("oom").found, contains_text("is -900: the kernel ends others first"));
  patient.files.write("proc/77/oom_score_adj", "0\n");
  CHECK(patient.finding("oom").level == Level::kOk);
  patient.files.write("proc/77/oom_score_adj", "100\n");
  CHECK(patient.finding("oom").level == Level::kAdvice);
  CHECK_THAT(patient.finding("oom").change, contains_text("choom -p 77"));
}
