// Names of 255 bytes, wherever a name may stand.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;

namespace {

// A valid name of so many bytes, of letters of two and four bytes, in a namespace of its own; it ends in
// `end`.
std::string name_of(std::size_t size, const std::string& end) {
  std::string name = "größe/";
  while (name.size() + end.size() + 4 <= size) name += "𝛑";
  while (name.size() + end.size() + 2 <= size) name += "é";
  while (name.size() + end.size() < size) name += "x";
  return name + end;
}

}  // namespace

TEST_CASE("names of 255 bytes are told apart by their last one, everywhere", "[limits]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Store other = daemon.connect();
  // In the index they are hashes; in a slot their first 64 bytes are the same.
  constexpr std::uint32_t kNames = 2'000;
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < kNames; ++i) {
    const std::string number = std::to_string(i);
    names.push_back(name_of(255, std::string(5 - number.size(), '0') + number));
    REQUIRE(names.back().size() == 255);
    store.put<std::uint32_t>(names.back(), std::vector<std::uint32_t>{i});
  }
  for (std::uint32_t i = 0; i < kNames; ++i) {
    const View view = other.attach(names[i]);
    REQUIRE(view.name() == names[i]);
    REQUIRE(view.as<std::uint32_t>()[0] == i);
  }
  CHECK(other.names() == names);
  CHECK(other.names(names[1234]) == std::vector{names[1234]});
  CHECK(other.info(names[7]).name == names[7]);
  CHECK(store.wait(names[9], std::chrono::seconds(1)).name() == names[9]);
  const View held = other.attach(names[5]);
  REQUIRE_FALSE(store.holders(names[5]).empty());
  CHECK(store.holders(names[5]).front().name == names[5]);

  const std::vector<std::string_view> some(names.begin(), names.begin() + 10);
  CHECK(other.attach_many(some)[3].as<std::uint32_t>()[0] == 3);
  store.put<std::uint32_t>(names[5], std::vector<std::uint32_t>{77}, {.replace = true});
  CHECK(other.attach(names[5]).as<std::uint32_t>()[0] == 77);
  CHECK(held.as<std::uint32_t>()[0] == 5);
  for (const std::string& name : names) store.remove(name);
  CHECK(store.names().empty());
}

TEST_CASE("errors show a name of 255 bytes whole, and suggest others that are as long", "[limits]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::string name = name_of(255, "end"), near = name_of(255, "and"), near_too = name_of(255, "ent");
  store.put<float>(near, std::vector<float>{1});
  store.put<float>(near_too, std::vector<float>{1});
  CHECK_THROWS_WITH(static_cast<void>(store.attach(name)), contains_text("'" + name + "'") &&
                                                               contains_text("did you mean '") &&
                                                               contains_text(near_too + "'"));
  store.put<float>(name, std::vector<float>{1});
  CHECK_THROWS_WITH(store.put<float>(name, std::vector<float>{1}), contains_text("'" + name + "'"));
}

TEST_CASE("a name of 256 bytes is refused with its length and the limit", "[limits]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::string name = name_of(256, "");
  REQUIRE(name.size() == 256);
  const auto says_so = contains_text("has 256 bytes; at most 255 are allowed");
  const std::vector<float> values{1};
  const std::vector<std::int64_t> shape{1};
  CHECK_THROWS_AS(store.put<float>(name, values), InvalidArgumentError);
  CHECK_THROWS_WITH(store.put<float>(name, values), says_so);
  CHECK_THROWS_WITH(store.build(name, kFloat32, shape), says_so);
  CHECK_THROWS_WITH(static_cast<void>(store.attach(name)), says_so);
  CHECK_THROWS_WITH(store.wait(name, std::chrono::seconds(1)), says_so);
  CHECK_THROWS_WITH(store.remove(name), says_so);
  CHECK_THROWS_WITH(static_cast<void>(store.info(name)), says_so);
  CHECK_THROWS_WITH(static_cast<void>(store.holders(name)), says_so);
  CHECK_THROWS_WITH(static_cast<void>(store.attach_many({{name}})), says_so);
  CHECK(store.stats().used_bytes == 0);
}
