// What simulated_day.hpp simulates, with the figures that it ends with. Seeds are fixed and nothing here
// looks at a clock, so a failure here is a change in where tensors go.
#include "catch.hpp"

#include <cstdint>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "simulated_day.hpp"

using tensord::test::Day;
using tensord::test::DayFigures;
using tensord::test::SimulatedDay;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// One line of figures, also when all is well: they are what the test is for.
DayFigures spend(const Day& day) {
  const DayFigures figures = SimulatedDay(day).run();
  std::ostringstream line;
  line << std::fixed << std::setprecision(1) << day.limit_bytes / kMiB << " MiB, " << day.namespaces
       << (day.live_too ? " namespaces with live tensors" : " namespace") << ", seed " << day.seed << ": "
       << day.operations << " operations at a fill of " << 100 * figures.mean_fill << " %; "
       << figures.failures << " of " << figures.creates << " creates failed (" << std::setprecision(3)
       << 100 * figures.failed_share() << " %); at the end " << figures.at_end.free_bytes / kMiB
       << " MiB free, the largest range " << figures.at_end.largest_free_bytes / kMiB << " MiB, "
       << figures.at_end.segments << " segments (at most " << figures.most_segments << "); "
       << std::setprecision(0) << 100 * figures.cold_share() << " % of the bytes came to new segments\n";
  std::cout << line.str() << std::flush;
  return figures;
}

}  // namespace

TEST_CASE("at 80 % fill a day of mixed sizes fails for fewer than one tensor in a hundred", "[space]") {
  Day day;
  SECTION("in one namespace") {
    for (const unsigned seed : {1u, 2u, 3u}) {
      day.seed = seed;
      const DayFigures figures = spend(day);
      CHECK(figures.failed_share() < 0.01);
      // The store was as full as claimed, and none of the failures was for want of bytes.
      CHECK(figures.mean_fill > 0.795);
      CHECK(figures.failures_without_enough_bytes == 0);
    }
  }
  SECTION("in four namespaces with sealed and live tensors, in a large store and in a small one") {
    day.namespaces = 4;
    day.live_too = true;
    for (const std::uint64_t limit_bytes : {4096 * kMiB, 1024 * kMiB}) {
      for (const unsigned seed : {1u, 2u}) {
        day.limit_bytes = limit_bytes;
        day.seed = seed;
        const DayFigures figures = spend(day);
        CHECK(figures.failed_share() < 0.01);
        CHECK(figures.mean_fill > 0.795);
        CHECK(figures.failures_without_enough_bytes == 0);
      }
    }
  }
}

TEST_CASE("a simulated day can fail: at 97 % fill it does", "[space]") {
  Day day;
  day.fill = 0.97;
  day.namespaces = 4;
  day.live_too = true;
  day.operations = 100'000;
  CHECK(spend(day).failed_share() > 0.01);
}
