// Requests: what a connection says to its daemon, and the answers.
//
// There are two roads. The ring (shm/ring.hpp) is memory: while the daemon is awake, a request costs no
// system call on either side; one that sleeps is woken by the bell. The socket takes what the ring cannot:
// descriptors, large messages, and the hang-up that tells of the daemon's end. A request is the same struct
// on both.
//
// Owns     the socket and the bell.
// Threads  any; one request, or one row of them, at a time.
// Fails    with the error that the daemon reports; ConnectionLostError once it is gone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/counters.hpp"
#include "os/cpu.hpp"
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "result.hpp"
#include "shm/ring.hpp"

namespace tensord::client {

// What a client is told whose limit of open files keeps it from taking what the daemon sent.
[[nodiscard]] Failure no_descriptor_is_free();

class Requests {
 public:
  // A connected socket; `path` is for messages.
  Requests(os::UniqueFd socket, std::string path, std::shared_ptr<Counters> counters);

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint32_t next_id() { return ++last_id_; }
  // From now on the ring is used where it can be.
  void open_ring(shm::RingMemory& memory, os::UniqueFd bell);

  // The request's id is filled in. The reply is copied into `reply`, its descriptors into `fds`; null if
  // none can come.
  void transact(std::span<std::byte> request, std::span<std::byte> reply, std::vector<os::UniqueFd>* fds);
  // A row of requests, request(0) to request(count - 1): each is sent without waiting for the reply to the
  // one before. Fills `reply` and calls take(i) for each, in order. After one that the daemon refuses
  // nothing more is sent, the replies under way are taken, and its error is thrown.
  void transact_many(std::size_t count, std::size_t request_bytes,
                     const std::function<std::span<std::byte>(std::size_t)>& request,
                     std::span<std::byte> reply, const std::function<void(std::size_t)>& take);
  // The two halves of transact(), by socket, for who connects and does other things meanwhile. Nothing if the
  // daemon has hung up; it may have said why.
  std::optional<std::uint32_t> begin(std::span<std::byte> request);
  std::optional<Failure> finish(std::uint32_t id, std::span<std::byte> reply,
                                std::vector<os::UniqueFd>& fds) {
    return take(id, Road::kSocket, reply, fds);
  }
  // A message whose reply nobody wants, and that may be lost. Never waits, and may come from anywhere, an
  // interrupt check included. It is heard before later requests of the same thread.
  void hint(std::span<std::byte> message) noexcept;

  // Waits until the daemon closes the connection. Throws TimeoutError.
  void await_hang_up(std::chrono::milliseconds timeout);
  // Whether it has; without asking it anything.
  [[nodiscard]] bool hung_up() const noexcept;
  [[noreturn]] void lost(const std::string& why);

 private:
  // Waits for the requests of other threads. May throw, as check_interrupt().
  [[nodiscard]] std::unique_lock<std::timed_mutex> await_turn();
  enum class Road { kSocket, kRing };
  [[nodiscard]] Road road_for(std::size_t request_bytes, std::size_t reply_bytes) const;

  std::uint32_t send(std::span<std::byte> request, Road road);  // returns its id
  // Waits for the reply to that request. The daemon's refusal, or nothing: then `reply` is filled.
  std::optional<Failure> take(std::uint32_t id, Road road, std::span<std::byte> reply,
                              std::vector<os::UniqueFd>& fds);

  // Both wait for the reply and return its size. An interrupt may throw: then the request is given up.
  struct Message {
    std::size_t size_bytes = 0;
    std::vector<os::UniqueFd> fds;
    bool fds_lost = false;
  };
  Message take_from_socket(std::uint32_t id, std::span<std::byte> buffer);
  std::size_t take_from_ring(std::uint32_t id, std::span<std::byte> buffer);
  std::uint32_t number(std::span<std::byte> request);  // gives it the next id, and returns that
  [[nodiscard]] bool has_room() const;                 // in the ring, if there is one
  // Waits for the oldest reply in the ring that was not taken, and takes it.
  std::span<const std::byte> next_reply();
  void settle_next();
  void post(std::span<const std::byte> request);
  void await_answer(std::uint32_t number);
  [[nodiscard]] bool spin_for(std::uint32_t number);
  Message receive(std::span<std::byte> buffer);
  bool is_new(const protocol::ReplyHeader& reply);
  // The reply to a request that was given up.
  void settle(std::span<const std::byte> reply);
  void settle_what_was_given_up();

  const os::UniqueFd socket_;
  const std::string path_;
  const std::shared_ptr<Counters> counters_;

  std::timed_mutex mutex_;  // one request at a time
  // Held by whoever posts to the ring, or takes from it: by requests for as long as they last, by hints for a
  // moment. Never slept for.
  class SpinLock {
   public:
    void lock() {
      while (!try_lock()) os::relax();
    }
    bool try_lock() { return !held_.exchange(true, std::memory_order_acquire); }
    void unlock() { held_.store(false, std::memory_order_release); }

   private:
    std::atomic<bool> held_{false};
  };
  SpinLock use_;
  std::uint32_t last_id_ = 0;  // from here on for who holds it
  std::string lost_because_;   // not empty: no request can succeed any more
  std::optional<shm::RingClient> ring_;
  os::UniqueFd bell_;
  std::uint32_t taken_ = 0;       // replies taken from the ring
  std::uint32_t unanswered_ = 0;  // requests by socket whose replies did not come yet
  std::uint32_t unsettled_ = 0;   // the same of settle()'s, which bear an older id
  std::uint32_t heard_id_ = 1;    // of the last reply by socket but those; the first was that to Hello
  std::uint32_t settled_id_ = 1;  // what was given up with a lower one is settled
  bool given_up_ = false;         // among those to be taken are some of requests that were given up
  std::chrono::nanoseconds patience_ = std::chrono::microseconds(40);  // for how long it pays to spin
};

}  // namespace tensord::client
