#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "catch.hpp"
#include "shm/ring.hpp"

using namespace tensord::shm;

namespace {

using Look = RingServer::Look;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Ring {
  std::unique_ptr<RingMemory> memory = std::make_unique<RingMemory>();
  RingClient client{*memory};
  RingServer server{*memory};

  std::string next_request() {
    std::array<std::byte, kRingRequestBytes> buffer;
    const std::size_t size_bytes = server.copy_request(buffer);
    return {reinterpret_cast<const char*>(buffer.data()), size_bytes};
  }
  std::string reply(std::uint32_t number) {
    const auto bytes = client.reply(number);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

}  // namespace

TEST_CASE("requests are answered in the order in which they were posted", "[ring]") {
  Ring ring;
  CHECK(ring.server.look() == Look::kNothing);
  const std::uint32_t first = ring.client.post(bytes_of("one"), 0);
  const std::uint32_t second = ring.client.post(bytes_of("two"), 0);
  CHECK_FALSE(ring.client.answered(first));
  REQUIRE(ring.server.look() == Look::kRequest);
  CHECK(ring.next_request() == "one");
  CHECK_FALSE(ring.server.answer(bytes_of("ONE")));
  CHECK(ring.client.answered(first));
  CHECK_FALSE(ring.client.answered(second));
  CHECK(ring.next_request() == "two");
  ring.server.answer(bytes_of("TWO"));
  CHECK(ring.server.look() == Look::kNothing);
  CHECK(ring.reply(first) == "ONE");
  CHECK(ring.reply(second) == "TWO");
}

TEST_CASE("a ring has room for so many requests, and again once they are answered", "[ring]") {
  Ring ring;
  for (std::uint32_t round = 0; round < 3; ++round) {
    CHECK(ring.client.room() == kRingEntries);
    for (std::uint32_t i = 0; i < kRingEntries; ++i) ring.client.post(bytes_of(std::to_string(i)), 0);
    CHECK(ring.client.room() == 0);
    for (std::uint32_t i = 0; i < kRingEntries; ++i) {
      CHECK(ring.next_request() == std::to_string(i));
      ring.server.answer({});
    }
  }
}

TEST_CASE("a client that posts more than fits is found out", "[ring]") {
  Ring ring;
  ring.memory->posted.store(kRingEntries + 1);
  CHECK(ring.server.look() == Look::kBroken);
  ring.memory->posted.store(0xffff'ffff);
  CHECK(ring.server.look() == Look::kBroken);
}

TEST_CASE("a forged size reaches no further than the entry", "[ring]") {
  Ring ring;
  const std::uint32_t number = ring.client.post(bytes_of("x"), 0);
  ring.memory->entries[0].request_bytes = 0xffff'ffff;
  CHECK(ring.next_request().size() == kRingRequestBytes);
  ring.server.answer(bytes_of("y"));
  ring.memory->entries[0].reply_bytes = 0xffff'ffff;
  CHECK(ring.reply(number).size() == kRingReplyBytes);
}

TEST_CASE("who leaves a ring sees what was posted, or the client sees that it left", "[ring]") {
  Ring ring;
  CHECK_FALSE(ring.client.watched());
  ring.server.watch(1);
  CHECK(ring.client.daemon_cpu() == 1);
  CHECK(ring.client.watched());
  ring.client.post(bytes_of("x"), 0);
  CHECK_FALSE(ring.server.leave());
  CHECK(ring.client.watched());
  ring.server.answer({});
  CHECK(ring.server.leave());
  CHECK_FALSE(ring.client.watched());
}

TEST_CASE("the bell is rung once for requests that wait for the same answer", "[ring]") {
  Ring ring;
  ring.client.post(bytes_of("x"), 0);
  CHECK(ring.client.must_ring());
  ring.client.rang();
  ring.client.post(bytes_of("y"), 0);
  CHECK_FALSE(ring.client.must_ring());
  ring.server.answer({});
  CHECK_FALSE(ring.server.leave());  // it looks again, and finds the second
  ring.server.unwatch();
  ring.client.post(bytes_of("z"), 0);
  CHECK(ring.client.must_ring());  // the one that was rung for is answered
}

TEST_CASE("who sleeps has seen the answer, or is woken", "[ring]") {
  Ring ring;
  const std::uint32_t first = ring.client.post(bytes_of("x"), 0);
  CHECK_FALSE(ring.client.begin_sleep(first));
  ring.client.post(bytes_of("y"), 0);
  CHECK(ring.server.answer({}));
  CHECK_FALSE(ring.server.answer({}));  // told once, it will look
  ring.client.end_sleep();
  const std::uint32_t second = ring.client.post(bytes_of("x"), 0);
  CHECK_FALSE(ring.server.answer({}));
  CHECK(ring.client.begin_sleep(second));
}
