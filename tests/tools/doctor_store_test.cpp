// `tensorctl doctor` and the store itself.
#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

}  // namespace

TEST_CASE("doctor: without a daemon nothing is said of a store", "[doctor]") {
  const Patient patient;
  for (const char* name : {"kept", "space", "dying", "fragmentation", "tensors", "connections"}) {
    CHECK(patient.findings(name).empty());
  }
}

TEST_CASE("doctor: a store that ends with its daemon is told, and one that is kept is told by whom",
          "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("kept").level == Level::kAdvice);
  CHECK_THAT(patient.finding("kept").change, contains_text("tensorctl start"));
  stats.kept_by = KeptBy::kServiceManager;
  CHECK(patient.finding("kept").found == "the store is kept by a service manager, and outlives its daemon");
}

TEST_CASE("doctor: a store that is nearly full is told", "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("space").found == "2 GiB of 4 GiB are used (50 %)");
  stats.used_bytes = stats.limit_bytes / 10 * 9;
  CHECK(patient.finding("space").level == Level::kAdvice);
  CHECK_THAT(patient.finding("space").change, contains_text("--max-bytes"));
}

TEST_CASE("doctor: memory that views of deleted tensors keep is told, if it is much", "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  stats.dying_bytes = kGiB / 8;
  stats.dying_tensors = 3;
  CHECK(patient.finding("dying").level == Level::kOk);
  stats.dying_bytes = kGiB;
  CHECK(patient.finding("dying").level == Level::kAdvice);
  CHECK(patient.finding("dying").found == "1 GiB in 3 deleted tensors are still viewed by somebody");
  CHECK_THAT(patient.finding("dying").change, contains_text("tensorctl holders"));
  stats.used_bytes = stats.dying_bytes = 4096;
  CHECK(patient.finding("dying").level == Level::kOk);
}

TEST_CASE("doctor: free memory in pieces is told", "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("fragmentation").level == Level::kOk);
  stats.largest_free_bytes = kGiB / 8;
  CHECK(patient.finding("fragmentation").level == Level::kAdvice);
  CHECK(patient.finding("fragmentation").found == "2 GiB of the store are free, 128 MiB of it in one piece");
  CHECK_THAT(patient.finding("fragmentation").change, contains_text("--reserve on-demand"));
}

TEST_CASE("doctor: slots and connections that are nearly used up are told", "[doctor]") {
  Patient patient;
  StoreStats& stats = patient.runs();
  CHECK(patient.finding("tensors").found == "0 of 1000 tensors");
  stats.tensors = 700;
  stats.dying_tensors = 200;
  CHECK(patient.finding("tensors").level == Level::kAdvice);
  CHECK(patient.finding("tensors").found == "900 of 1000 tensors");
  CHECK(patient.finding("connections").level == Level::kOk);
  stats.connections = 81;
  CHECK(patient.finding("connections").level == Level::kAdvice);
  CHECK_THAT(patient.finding("connections").change, contains_text("--max-connections"));
}
