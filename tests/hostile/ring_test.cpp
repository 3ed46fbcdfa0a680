// Clients that write into their ring what no client of ours would. The property is that of requests_test.cpp:
// the attacker is disconnected or left alone with its garbage, and an honest client goes on as before.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"
#include "raw_client.hpp"
#include "shm/ring.hpp"

using namespace tensord;
using namespace tensord::protocol;
using tensord::test::DaemonProcess;

namespace {

// Writes its ring by hand.
class RingAttacker : public tensord::test::RawClient {
 public:
  explicit RingAttacker(const DaemonProcess& daemon) : RawClient(daemon.socket()) {}

  template <class T>
  void post(const T& request) {
    shm::RingEntry& entry = ring().entries[posted_ % shm::kRingEntries];
    entry.request_bytes = sizeof request;
    std::memcpy(entry.request, &request, sizeof request);
    ring().posted.store(++posted_);
  }
  // Whether a Stats request by socket is still answered.
  bool is_connected() {
    std::array<std::byte, kMaxMessageBytes> buffer;
    if (!send(Stats{{Stats::kType, 77}})) return false;
    for (;;) {
      const os::Received received = os::receive_message(socket(), buffer, 2);
      if (received.size_bytes == 0) return false;
      if (received.size_bytes == sizeof(StatsReply)) return true;
    }
  }

 private:
  std::uint32_t posted_ = 0;
};

struct Honest {
  DaemonProcess daemon;
  Store store = daemon.connect();
  View held = store.put<float>("honest/x", std::vector<float>{1, 2, 3});

  void check_that_it_goes_on() {
    REQUIRE(daemon.running());
    CHECK(held.as<float>()[2] == 3.0f);
    store.put<float>("honest/y", std::vector<float>{4}, {.replace = true});
    CHECK(daemon.connect().attach("honest/y").as<float>()[0] == 4.0f);
  }
};

}  // namespace

TEST_CASE_METHOD(Honest, "what does not belong into a ring ends its client, and nobody else",
                 "[hostile][ring]") {
  struct Attack {
    std::string what;
    std::function<void(RingAttacker&)> act;
  };
  Find with_descriptors;
  with_descriptors.header = {Find::kType, 2};
  with_descriptors.name.assign("honest/x");
  with_descriptors.access = Access::kRead;
  const std::vector<Attack> attacks = {
      {"more requests than fit", [](RingAttacker& a) { a.ring().posted.store(shm::kRingEntries + 1); }},
      {"requests from the past", [](RingAttacker& a) { a.ring().posted.store(0xffff'fff0); }},
      {"a request of no size",
       [](RingAttacker& a) {
         a.ring().entries[0].request_bytes = 0;
         a.ring().posted.store(1);
       }},
      {"a request of every size",
       [](RingAttacker& a) {
         a.post(Stats{{Stats::kType, 2}});
         a.ring().entries[0].request_bytes = 0xffff'ffff;
       }},
      {"an unknown type",
       [](RingAttacker& a) {
         a.post(RequestHeader{static_cast<MessageType>(4711), 2});
       }},
      {"another hello", [](RingAttacker& a) { a.post(Hello{}); }},
      {"a request for descriptors", [&](RingAttacker& a) { a.post(with_descriptors); }},
  };
  for (const Attack& attack : attacks) {
    CAPTURE(attack.what);
    RingAttacker attacker(daemon);
    attack.act(attacker);
    attacker.ring_bell();
    CHECK(attacker.is_disconnected());
    check_that_it_goes_on();
  }
}

TEST_CASE_METHOD(Honest, "a ring that is scribbled over while the daemon reads it hurts its client only",
                 "[hostile][ring]") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    RingAttacker attacker(daemon);
    auto* const words = reinterpret_cast<std::atomic<std::uint32_t>*>(&attacker.ring());
    constexpr std::size_t kWords = sizeof(shm::RingMemory) / 4;
    for (int i = 0; i < 3'000; ++i) {
      // Mostly what the daemon looks at first: counts and the first entries.
      const std::size_t at = random() % (i % 3 == 0 ? kWords : 256);
      words[at].store(i % 2 == 0 ? random() : random() % 16, std::memory_order_relaxed);
      if (i % 16 == 0) attacker.ring_bell();
    }
  }
  check_that_it_goes_on();
}

TEST_CASE_METHOD(Honest, "bells without a request are answered by silence", "[hostile][ring]") {
  RingAttacker attacker(daemon);
  for (int i = 0; i < 2'000; ++i) attacker.ring_bell();
  CHECK(attacker.is_connected());
  attacker.post(Stats{{Stats::kType, 2}});
  attacker.ring_bell();
  CHECK(test::eventually([&] { return attacker.ring().answered.load() == 1; }));
  check_that_it_goes_on();
}

TEST_CASE_METHOD(Honest, "a bell whose flags or count its client changes holds nobody up",
                 "[hostile][ring]") {
  RingAttacker attacker(daemon);
  // Without O_NONBLOCK a plain read would wait for ever once we have taken the count.
  ::fcntl(attacker.bell(), F_SETFL, 0);
  for (int i = 0; i < 500; ++i) {
    attacker.ring_bell();
    std::uint64_t count = 0;
    iovec whole{&count, sizeof count};
    (void)::preadv2(attacker.bell(), &whole, 1, -1, RWF_NOWAIT);
  }
  ::eventfd_write(attacker.bell(), 0xffff'ffff'ffff'fff0);
  check_that_it_goes_on();
}
