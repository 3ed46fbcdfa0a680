#include "human.hpp"
#include "catch.hpp"

using tensord::human_bytes;
using tensord::parse_bytes;

TEST_CASE("sizes are written with the unit that fits", "[human]") {
  CHECK(human_bytes(0) == "0 bytes");
  CHECK(human_bytes(1023) == "1023 bytes");
  CHECK(human_bytes(1024) == "1 KiB");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(std::uint64_t{64} << 20) == "64 MiB");
  CHECK(human_bytes(UINT64_MAX) == "16384 PiB");
}

TEST_CASE("sizes are read as people write them", "[human]") {
  CHECK(parse_bytes("4096") == 4096);
  CHECK(parse_bytes("64MiB") == std::uint64_t{64} << 20);
  CHECK(parse_bytes("64 M") == std::uint64_t{64} << 20);
  CHECK(parse_bytes("1.5G") == std::uint64_t{3} << 29);
  CHECK(parse_bytes("2TB") == std::uint64_t{2} << 40);
  CHECK(parse_bytes("12 bytes") == 12);
  for (const char* bad : {"", "x", "-1", "1 Q", "1 MiBs", "nan", "inf", "1e30"}) {
    INFO(bad);
    CHECK_FALSE(parse_bytes(bad));
  }
}
