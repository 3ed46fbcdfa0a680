// `tensorctl doctor` and the limits of processes.
#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

void limit(const Patient& patient, const std::string& process, const std::string& files,
           const std::string& space = "unlimited            unlimited") {
  patient.files.write("proc/" + process + "/limits",
                      "Limit                     Soft Limit           Hard Limit           Units     \n"
                      "Max open files            " +
                          files +
                          "            files     \n"
                          "Max address space         " +
                          space + "            bytes     \n");
}

}  // namespace

TEST_CASE("doctor: a client with fewer descriptors than the store has segments is told which command helps",
          "[doctor]") {
  Patient patient;
  limit(patient, "self", "1024    524288");
  CHECK(patient.finding("descriptors").found == "this process may open 1024 descriptors");
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("descriptors").level == Level::kOk);
  stats.segments = 1000;
  CHECK(patient.finding("descriptors").level == Level::kProblem);
  CHECK_THAT(patient.finding("descriptors").change, contains_text("ulimit -n 524288"));
  limit(patient, "self", "1024    1024");
  CHECK_THAT(patient.finding("descriptors").change, contains_text("a higher hard limit (it is 1024)"));
  limit(patient, "self", "unlimited    unlimited");
  CHECK(patient.finding("descriptors").level == Level::kOk);
}

TEST_CASE("doctor: a daemon with fewer descriptors than its connections need is told", "[doctor]") {
  Patient patient;
  limit(patient, "self", "1024    1024");
  patient.runs();
  limit(patient, "77", "1024    1024");
  REQUIRE(patient.findings("descriptors").size() == 2);
  CHECK(patient.findings("descriptors")[1].level == Level::kOk);
  patient.sight.daemon->stats->max_connections = 1000;
  const Finding finding = patient.findings("descriptors")[1];
  CHECK(finding.level == Level::kAdvice);
  CHECK_THAT(finding.found, contains_text("may open 1024 descriptors, and needs 3074"));
}

TEST_CASE("doctor: fewer mappings than segments is a problem", "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  patient.files.write("proc/sys/vm/max_map_count", std::uint64_t{65530});
  CHECK(patient.finding("maps").level == Level::kOk);
  stats.segments = 16384;
  CHECK(patient.finding("maps").level == Level::kOk);
  patient.files.write("proc/sys/vm/max_map_count", std::uint64_t{30000});
  CHECK(patient.finding("maps").level == Level::kProblem);
  CHECK_THAT(patient.finding("maps").change, contains_text("sysctl vm.max_map_count="));
}

TEST_CASE("doctor: a bound on address space below the store's size is a problem", "[doctor]") {
  Patient patient;
  limit(patient, "self", "1024    1024");
  patient.runs();
  CHECK(patient.finding("address-space").found == "address space is not limited");
  limit(patient, "self", "1024    1024", "3221225472           unlimited");
  CHECK(patient.finding("address-space").level == Level::kProblem);
  CHECK_THAT(patient.finding("address-space").found, contains_text("3 GiB of address space"));
  limit(patient, "self", "1024    1024", "32212254720          unlimited");
  CHECK(patient.finding("address-space").level == Level::kOk);
}
