// A store with more address space than any machine has memory: --reserve on-demand.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "figures.hpp"
#include "processes.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::own_descriptors;
using tensord::test::say_bytes;
using tensord::test::status_bytes;
using tensord::test::timed;

namespace {

constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;
constexpr std::uint32_t kNamespaces = 1'024;  // a segment of 1 GiB each
constexpr std::uint32_t kEach = 64;           // tensors, of a page

std::string name_of(std::uint32_t space, std::uint32_t i) {
  return "s" + std::to_string(space) + "/" + std::to_string(i);
}

std::vector<std::uint32_t> values_of(std::uint32_t space, std::uint32_t i) {
  std::vector<std::uint32_t> values(1'024, space);
  values.back() = i;
  return values;
}

// One descriptor for each segment.
void allow_descriptors(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(count, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Attaches to every one and looks at it; how many are not as they were put.
std::uint32_t count_wrong(const Store& store) {
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < kEach; ++i) {
    for (std::uint32_t space = 0; space < kNamespaces; ++space) {
      const View view = store.attach(name_of(space, i));
      const auto values = view.as<std::uint32_t>();
      wrong += values.front() != space || values.back() != i;
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("a tebibyte of segments in one store and one client costs the memory of its tensors", "[limits]") {
  if (test::available_bytes() < std::uint64_t{4} << 30) {
    std::puts("skipped: a thousand pieces of 2 MiB want 4 GiB of available memory");
    return;
  }
  const DaemonProcess daemon({"--reserve", "on-demand", "--max-bytes", "2TiB", "--keep-warm", "0",
                              "--max-tensors", std::to_string(kNamespaces * kEach + 1), "--huge-pages",
                              "never"});
  const Store store = daemon.connect();
  // The writer maps all of it twice, to read and to write, and ends before the reader comes.
  REQUIRE(in_child([&] {
            allow_descriptors(4'096);
            const Store mine = daemon.connect();
            timed("put", kNamespaces * kEach, [&] {
              for (std::uint32_t space = 0; space < kNamespaces; ++space) {
                for (std::uint32_t i = 0; i < kEach; ++i) {
                  mine.put<std::uint32_t>(name_of(space, i), values_of(space, i));
                }
              }
            });
            say_bytes("the writer's page tables", status_bytes(::getpid(), "VmPTE"));
            return status_bytes(::getpid(), "VmSize") > 2 * kTiB ? 0 : 2;
          }) == 0);
  const StoreStats stats = store.stats();
  CHECK(stats.segments == kNamespaces);
  CHECK(stats.limit_bytes == 2 * kTiB);
  CHECK(stats.reserved_bytes == kNamespaces * std::uint64_t{2} << 20);
  say_bytes("memory behind the segments", stats.reserved_bytes);
  say_bytes("elements, with alignment", stats.used_bytes);
  say_bytes("the daemon's own memory", status_bytes(daemon.pid(), "RssAnon"));

  CHECK(in_child([&] {
          allow_descriptors(4'096);
          const std::uint64_t size_before = status_bytes(::getpid(), "VmSize");
          const std::uint64_t tables_before = status_bytes(::getpid(), "VmPTE");
          const Store mine = daemon.connect();
          timed("attach first of each segment (maps)", kNamespaces, [&] {
            for (std::uint32_t space = 0; space < kNamespaces; ++space) {
              static_cast<void>(mine.attach(name_of(space, 0)));
            }
          });
          const std::uint64_t mapped = status_bytes(::getpid(), "VmSize") - size_before;
          say_bytes("address space of the reader", mapped);
          std::uint32_t wrong = 0;
          timed("attach all, first look", kNamespaces * kEach, [&] { wrong += count_wrong(mine); });
          timed("attach all, again", kNamespaces * kEach, [&] { wrong += count_wrong(mine); });
          say_bytes("the reader's page tables", status_bytes(::getpid(), "VmPTE") - tables_before);
          return mapped < kTiB ? 2 : wrong != 0 ? 3 : 0;
        }) == 0);
  // Looking has made no memory of holes.
  CHECK(store.stats().reserved_bytes == stats.reserved_bytes);

  for (const std::string& name : store.names()) store.remove(name);
  CHECK(eventually([&] { return store.stats().reserved_bytes == 0 && store.stats().segments == 0; }));
}

TEST_CASE("a client that may open no more files says so, and goes on", "[limits]") {
  const DaemonProcess daemon({"--reserve", "on-demand"});
  const Store store = daemon.connect();
  constexpr std::uint32_t kSpaces = 60;
  for (std::uint32_t space = 0; space < kSpaces; ++space) {
    store.put<std::uint32_t>(name_of(space, 0), values_of(space, 0));
  }
  CHECK(in_child([&] {
          const std::size_t few = own_descriptors() + 20;
          allow_descriptors(few);
          const Store mine = daemon.connect();
          std::uint32_t seen = 0;
          try {
            for (; seen < kSpaces; ++seen) static_cast<void>(mine.attach(name_of(seen, 0)));
            return 2;
          } catch (const LimitReachedError& error) {
            const std::string number = "may have " + std::to_string(few) + " open files";
            if (std::string(error.what()).find(number) == std::string::npos) return 3;
          }
          if (seen == 0 || mine.attach(name_of(0, 0)).as<std::uint32_t>().front() != 0) return 4;
          allow_descriptors(few + 100);
          for (; seen < kSpaces; ++seen) {
            if (mine.attach(name_of(seen, 0)).as<std::uint32_t>().front() != seen) return 5;
          }
          return 0;
        }) == 0);
}
