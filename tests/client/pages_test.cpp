// How the daemon's choice of pages shows in the processes that attach: in page faults, which are counted.
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/pages.hpp"
#include "page_faults.hpp"
#include "processes.hpp"

using namespace tensord;
using tensord::test::costs_no_fault;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::kPageFaultsTell;
using tensord::test::page_faults;
using tensord::test::page_faults_of_main_thread;

namespace {

constexpr std::size_t kElements = std::size_t{16} << 20;  // 64 MiB of float
constexpr std::size_t kSmallPages = kElements * sizeof(float) / 4096;

long faults_of_touching(const View& view) {
  return test::faults_of_touching({view.data(), view.size_bytes()});
}

// While it lives, processes started here may not have huge pages.
class WithoutHugePages {
 public:
  WithoutHugePages() { ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }
  WithoutHugePages(const WithoutHugePages&) = delete;
  WithoutHugePages& operator=(const WithoutHugePages&) = delete;
  ~WithoutHugePages() { ::prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }
};

}  // namespace

TEST_CASE("a large tensor is touched with a page fault for 2 MiB, where huge pages are granted", "[client]") {
  const DaemonProcess daemon({"--keep-warm", "0"});
  const Store writer = daemon.connect();
  const Store reader = daemon.connect();
  const bool granted = daemon.log().find("huge pages: granted") != std::string::npos;
  CHECK(granted == os::grants_huge_pages());
  const std::vector<float> elements(kElements, 1.0f);
  const auto both_mappings_are_huge = [&] {
    writer.put<float>("x", elements, {.replace = true});
    const View view = reader.attach("x");
    return faults_of_touching(view) <= static_cast<long>(kSmallPages / 64) &&
           test::faults_of_touching({view.map_private().get(), view.size_bytes()}) <=
               static_cast<long>(kSmallPages / 64);
  };
  // Several times, for while the memory of the machine is in pieces, a segment may get none.
  if (granted && kPageFaultsTell) CHECK(eventually(both_mappings_are_huge));
}

TEST_CASE("with --huge-pages never all pages are small, and the log says so", "[client]") {
  const DaemonProcess daemon({"--huge-pages", "never"});
  const Store writer = daemon.connect();
  CHECK(daemon.log().find("huge pages: not asked for") != std::string::npos);
  writer.put<float>("x", std::vector<float>(kElements, 1.0f));
  const Store reader = daemon.connect();
  // The kernel maps up to 16 small pages around the one that is touched.
  CHECK(faults_of_touching(reader.attach("x")) >= static_cast<long>(kSmallPages / 16));
}

TEST_CASE("a daemon that gets no huge pages says so once, and serves from small ones", "[client]") {
  const bool always = GENERATE(false, true);
  const std::string reserve = GENERATE("ahead", "on-demand");
  const WithoutHugePages without;
  const DaemonProcess daemon({"--huge-pages", always ? "always" : "auto", "--reserve", reserve});
  const Store store = daemon.connect();
  CHECK(daemon.log().find("huge pages: not granted") != std::string::npos);
  CHECK((daemon.log().find("warning") != std::string::npos) == always);
  const std::vector<float> elements(kElements, 2.0f);
  const View view = store.put<float>("x", elements);
  CHECK(view.as<float>()[kElements - 1] == 2.0f);
  CHECK((daemon.log().find("lie on huge pages") != std::string::npos) == always);
}

TEST_CASE("attach with populate leaves no page fault for the first touch", "[client]") {
  // On small pages, where there are many to leave.
  const DaemonProcess daemon({"--huge-pages", "never"});
  const Store writer = daemon.connect();
  const Kind kind = GENERATE(Kind::kSealed, Kind::kLive);
  const std::vector<float> elements(kElements, 3.0f);
  const View first = writer.put<float>("x", elements, {.kind = kind});
  const View neighbour = writer.put<float>("y", elements, {.kind = kind});

  const Mode mode = kind == Kind::kLive ? Mode::kReadWrite : Mode::kRead;
  const auto attach_populated = [&](const Store& reader) {
    CHECK(reader.attach("x", {.mode = mode}).mode() == mode);
    return reader.attach("x", {.mode = mode, .populate = true});
  };
  CHECK(costs_no_fault([&] {
    const Store reader = daemon.connect();
    return faults_of_touching(attach_populated(reader));
  }));
  if (kind == Kind::kLive) {
    CHECK(costs_no_fault([&] {
      const Store reader = daemon.connect();
      const View view = attach_populated(reader);
      const long before = page_faults();
      for (float& element : view.as_mutable<float>()) element += 1;
      return page_faults() - before;
    }));
  }
  // Of this tensor only.
  const Store reader = daemon.connect();
  const View view = attach_populated(reader);
  CHECK(faults_of_touching(reader.attach("y", mode)) > 0);
}

TEST_CASE("populating a tensor without elements, and a small one, is allowed", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("none", std::span<const float>());
  store.put<float>("three", std::vector<float>{1, 2, 3});
  CHECK(store.attach("none", {.populate = true}).size_bytes() == 0);
  CHECK(store.attach("three", {.populate = true}).as<float>()[2] == 3);
}

TEST_CASE("deleting and reusing 64 MiB faults nothing in on the event loop", "[client]") {
  const bool keeps = GENERATE(true, false);
  const DaemonProcess daemon({"--keep-warm", keeps ? "1G" : "0"});
  const Store store = daemon.connect();
  const std::vector<float> elements(kElements, 1.0f);
  store.put<float>("x", elements);
  store.remove("x");
  store.put<float>("x", elements);
  const std::uint64_t reserved_bytes = store.stats().reserved_bytes;
  const std::uint64_t before = page_faults_of_main_thread(daemon.pid());
  for (int i = 0; i < 20; ++i) {
    store.remove("x");
    store.put<float>("x", elements);
  }
  // A page or two for a list that grew; 20 times 64 MiB are 327,680.
  if (kPageFaultsTell) CHECK(page_faults_of_main_thread(daemon.pid()) - before < 100);
  CHECK(store.stats().reserved_bytes == reserved_bytes);
}
