// Rings: looks at the rings of clients who are busy, so that they need not wake the daemon.
//
// A wake-up costs some tens of microseconds, more than most requests. So after a request the daemon stays
// awake for up to about as long as a wake-up takes, in the hope of another; then it leaves the ring, and its
// client must ring the bell again. How long is learnt for each client: who comes back in time is waited for
// longer, and so is who rings just after it left; who does not, less. An idle daemon watches no ring and
// sleeps in the kernel.
//
// Threads  one, that of the io_context, whose other handlers get their turn in between.
#pragma once

#include <chrono>
#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/asio.hpp>

namespace tensord::daemon {

// A client's ring, as Rings sees it.
class RingUser {
 public:
  virtual ~RingUser() = default;
  // Begins to look at the ring. The client sees it.
  virtual void watch_ring() = 0;
  // The same, and says that the daemon is about to move to another processor.
  virtual void say_moving() = 0;
  // Answers what was posted; true if there was anything. Never blocks.
  virtual bool serve_ring() = 0;
  // Whether its client runs on the processor that the daemon runs on now.
  [[nodiscard]] virtual bool is_beside_daemon() const = 0;
  // Stops to look at it, unless something was posted meanwhile: then false.
  virtual bool leave_ring() = 0;
};

class Rings {
 public:
  explicit Rings(boost::asio::io_context& loop) : loop_(loop) {}

  // The user's bell rang. From now on its ring is watched until it has been quiet for a while.
  void rang(std::shared_ptr<RingUser> user);
  // Its client is gone.
  void forget(const RingUser* user);

 private:
  using Clock = std::chrono::steady_clock;
  // What is learnt of one who ever rang.
  struct Learnt {
    std::chrono::nanoseconds patience;
    Clock::time_point left{};  // when its ring was last left

    void be_more_patient();
  };
  struct Watched {
    std::shared_ptr<RingUser> user;
    Learnt* learnt;  // of it, in learnt_
    Clock::time_point last_request;
    bool served_before = false;  // since the bell rang
  };
  void turn();
  [[nodiscard]] bool serve_all();
  [[nodiscard]] bool is_time_to_move(const Watched& served);
  void move_away_from(Watched& watched);  // to another processor than its client's
  void leave_the_quiet_ones();

  boost::asio::io_context& loop_;
  std::vector<Watched> watched_;
  std::unordered_map<const RingUser*, Learnt> learnt_;
  bool turning_ = false;
  Clock::time_point last_beside_{};
  int requests_beside_ = 0;  // in a row, of clients on the daemon's own processor
};

}  // namespace tensord::daemon
