// A client and a daemon on one ring, each asleep now and then: no request is lost, no answer is another's,
// and nobody sleeps for ever.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <thread>

#include "catch.hpp"
#include "shm/ring.hpp"

using namespace tensord::shm;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr std::uint32_t kRequests = 20'000;
#else
constexpr std::uint32_t kRequests = 300'000;
#endif
constexpr std::uint32_t kSpins = 50;  // few, so that both sides often go to sleep

std::span<const std::byte> bytes_of(const std::uint32_t& number) {
  return std::as_bytes(std::span(&number, 1));
}

// What the two sockets are in the real thing: a bell that stays rung until it is heard.
class Bell {
 public:
  void ring() {
    rung_.store(1, std::memory_order_release);
    rung_.notify_one();
  }
  void hear() {
    while (rung_.exchange(0, std::memory_order_acquire) == 0) rung_.wait(0);
  }

 private:
  std::atomic<std::uint32_t> rung_{0};
};

}  // namespace

TEST_CASE("a request is never lost between two who fall asleep", "[ring]") {
  const auto memory = std::make_unique<RingMemory>();
  Bell to_daemon, to_client;
  std::uint32_t slept_daemon = 0;

  std::thread daemon([&] {
    RingServer server(*memory);
    std::array<std::byte, kRingRequestBytes> buffer;
    std::uint32_t served = 0, idle = 0;
    while (served < kRequests) {
      if (server.look() == RingServer::Look::kRequest) {
        std::uint32_t number = 0;
        if (server.copy_request(buffer) == sizeof number) std::memcpy(&number, buffer.data(), sizeof number);
        number = ~number;
        if (server.answer(bytes_of(number))) to_client.ring();
        ++served, idle = 0;
      } else if (++idle > kSpins && server.leave()) {
        to_daemon.hear();
        ++slept_daemon;
        server.watch(1);
        idle = 0;
      }
    }
  });

  RingClient client(*memory);
  std::uint32_t wrong = 0, slept_client = 0, next = 0;
  while (next < kRequests) {
    // Bursts of changing size, as batches and single requests make them.
    const std::uint32_t burst = std::min(1 + next % 7, kRequests - next);
    const std::uint32_t first = next;
    for (std::uint32_t i = 0; i < burst; ++i, ++next) {
      const std::uint32_t payload = next * 2654435761u;
      client.post(bytes_of(payload), 0);
      if (client.must_ring()) {
        client.rang();
        to_daemon.ring();
      }
    }
    for (std::uint32_t number = first; number < next; ++number) {
      for (std::uint32_t spin = 0; spin < kSpins && !client.answered(number); ++spin) {
      }
      while (!client.answered(number)) {
        if (!client.begin_sleep(number)) {
          to_client.hear();
          ++slept_client;
        }
        client.end_sleep();
      }
      std::uint32_t answer = 0;
      const auto reply = client.reply(number);
      if (reply.size() == sizeof answer) std::memcpy(&answer, reply.data(), sizeof answer);
      if (answer != ~(number * 2654435761u)) ++wrong;
    }
  }
  daemon.join();
  CHECK(wrong == 0);
  INFO("the daemon slept " << slept_daemon << " times, the client " << slept_client << " times");
}
