#include "catch.hpp"

#include <chrono>
#include <cstddef>

#include "huge_pages.hpp"

using namespace std::chrono_literals;
using tensord::daemon::HugePageWish;
using For = HugePageWish::For;

namespace {

constexpr auto kQuick = 150us, kLate = 4500us;
constexpr std::size_t kOfAGibibyte = 512;

// Asks for pages that take `each`, at most `count`; how many it asked for.
std::size_t ask(HugePageWish& wish, HugePageWish::Nanoseconds each, std::size_t count = kOfAGibibyte) {
  std::size_t asked = 0;
  for (; asked < count && wish.asks(); ++asked) wish.took(each);
  return asked;
}

}  // namespace

TEST_CASE("all of a segment is asked for in huge pages where they come quickly", "[huge_pages]") {
  HugePageWish wish(For::kPatience, kOfAGibibyte);
  CHECK(ask(wish, kQuick) == kOfAGibibyte);
  CHECK_FALSE(wish.is_undecided());
}

TEST_CASE("a large segment that huge pages would make late goes on with small ones", "[huge_pages]") {
  HugePageWish wish(For::kPatience, kOfAGibibyte);
  const std::size_t asked = ask(wish, kLate);
  CHECK(asked * (kLate - HugePageWish::kExpected) > HugePageWish::kHiccup);
  CHECK((asked - 1) * (kLate - HugePageWish::kExpected) <= HugePageWish::kHiccup);
  CHECK(wish.is_undecided());
  wish.took_instead(1700us);
  CHECK_FALSE(wish.asks());
  CHECK(wish.is_undecided());
}

TEST_CASE("a segment of 64 MiB is worth the wait for late huge pages", "[huge_pages]") {
  HugePageWish wish(For::kPatience, 32);
  CHECK(ask(wish, kLate, 32) == 32);
}

TEST_CASE("memory that is used again is worth the wait, too", "[huge_pages]") {
  HugePageWish wish(For::kUntilRefused, kOfAGibibyte);
  CHECK(ask(wish, kLate) == kOfAGibibyte);
  wish.was_refused();
  CHECK_FALSE(wish.asks());
}

TEST_CASE("a few late huge pages among quick ones are a hiccup", "[huge_pages]") {
  HugePageWish wish(For::kPatience, kOfAGibibyte);
  ask(wish, kQuick, 100);
  CHECK(ask(wish, kLate, 8) == 8);
  CHECK(ask(wish, kQuick) == kOfAGibibyte);
}

TEST_CASE("where small pages take as long as late huge ones, the rest is huge", "[huge_pages]") {
  HugePageWish wish(For::kPatience, kOfAGibibyte);
  ask(wish, kQuick, 10);  // those that came quickly say nothing about the late ones
  CHECK(ask(wish, kLate) < kOfAGibibyte);
  wish.took_instead(1700us);
  CHECK_FALSE(wish.asks());
  wish.took_instead(kLate);
  CHECK(ask(wish, kLate) == kOfAGibibyte);
  CHECK_FALSE(wish.is_undecided());
}

TEST_CASE("after a refusal a segment asks no more, unless it is to have huge pages always", "[huge_pages]") {
  HugePageWish wish(For::kPatience, kOfAGibibyte), insists(For::kWhateverItTakes, kOfAGibibyte);
  wish.was_refused();
  insists.was_refused();
  CHECK_FALSE(wish.asks());
  CHECK_FALSE(wish.is_undecided());
  CHECK(ask(insists, kLate) == kOfAGibibyte);
}

TEST_CASE("a segment that is to have no huge pages never asks", "[huge_pages]") {
  const HugePageWish wish(For::kNothing, kOfAGibibyte);
  CHECK_FALSE(wish.asks());
  CHECK_FALSE(wish.is_undecided());
}
