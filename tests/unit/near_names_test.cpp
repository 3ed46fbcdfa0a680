#include "near_names.hpp"
#include "catch.hpp"

using tensord::daemon::edit_distance;
using tensord::daemon::NearNames;

TEST_CASE("the edit distance counts letters inserted, deleted and exchanged", "[near_names]") {
  CHECK(edit_distance("kitten", "kitten", 5) == 0);
  CHECK(edit_distance("kitten", "sitting", 5) == 3);
  CHECK(edit_distance("", "abc", 5) == 3);
  CHECK(edit_distance("abc", "", 5) == 3);
  CHECK(edit_distance("abcdef", "ghijkl", 2) == 3);
  CHECK(edit_distance("a", "abcdefgh", 2) == 3);
}

TEST_CASE("the nearest names come first, and strangers not at all", "[near_names]") {
  NearNames nearest("digits/image");
  for (const char* name : {"digits/labels", "digits/images", "other", "digit/image", "digits/imagery"}) {
    REQUIRE(nearest.look_at(name));
  }
  const auto best = nearest.best();
  REQUIRE(best.size() == 3);
  CHECK(best[0] == "digit/image");
  CHECK(best[1] == "digits/images");
  CHECK(best[2] == "digits/imagery");
}

TEST_CASE("the search gives up after a bounded amount of work", "[near_names]") {
  const std::string wanted(250, 'x');
  NearNames nearest(wanted);
  const std::string other(249, 'y');
  int looked_at = 0;
  while (nearest.look_at(other)) REQUIRE(++looked_at < 1000);
  CHECK(looked_at > 10);
}
