// Session: one client's socket and ring, from accept to hang-up.
//
// It takes requests from both, has the Dispatcher answer them, and sends the reply where the request came
// from. A request stays where it is until it has been answered, so that the daemon after this one finds it.
// It ends when the client hangs up, breaks the form (logged once), does not read its replies, or does not say
// Hello in time. However it ends, the Service hears farewell exactly once. It lives as long as its coroutines
// run.
//
// Threads  one, that of the io_context.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio.hpp>

#include "credentials.hpp"
#include "dispatcher.hpp"
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "rings.hpp"
#include "service.hpp"
#include "shm/ring.hpp"

namespace tensord::daemon {

class Session : public RingUser, public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::io_context& loop, os::UniqueFd socket, Service& service, Rings& rings);
  // Of a client that another daemon served before.
  Session(boost::asio::io_context& loop, Service::Returning returning, Service& service, Rings& rings);
  boost::asio::awaitable<void> run();

  // Neither said hello nor ended yet.
  [[nodiscard]] bool is_silent() const { return !client_ && !ended_; }
  // Ends a silent one, for the sake of somebody who may have something to say.
  void make_room();

  void watch_ring() override;
  void say_moving() override;
  bool serve_ring() override;
  bool leave_ring() override;
  [[nodiscard]] bool is_beside_daemon() const override;

 private:
  enum class Next { kGoOn, kEnd };

  boost::asio::awaitable<Next> receive_one();
  boost::asio::awaitable<Next> answer(std::span<const std::byte> message);
  boost::asio::awaitable<Next> handle(std::span<const std::byte> message);
  Next hello(const protocol::Hello& request);
  // Takes up the ring of a client that was here before.
  void resume_ring();
  void end_unless_greeted_in_time();
  void listen_for_bell();  // until the session ends

  Next serve_one_of_ring();  // REQUIRES: there is one
  Next answer_by_ring(const Dispatcher::Outcome& outcome);
  // The request, which lies in ring_request_, waits for memory; then for whatever came behind it.
  boost::asio::awaitable<void> answer_later(std::span<const std::byte> request);

  Next send(std::span<const std::byte> message, std::span<const os::UniqueFd> fds = {});
  Next refuse(const std::string& what);
  void fail(const std::exception& error);
  void shut();
  void farewell();

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::posix::stream_descriptor bell_;  // from Hello on
  Service& service_;
  Dispatcher dispatcher_;
  Rings& rings_;
  shm::RingServer ring_;
  Credentials who_;
  std::optional<Service::Returning> returning_;  // until its first message is answered
  std::optional<ClientId> client_;               // from Hello on
  enum class RingUse { kOpen, kWaits, kShut } ring_use_ = RingUse::kOpen;  // kWaits: answer_later() runs
  bool ended_ = false;                                                     // run() is over
  boost::asio::steady_timer hello_timer_;
  std::array<std::byte, protocol::kMaxMessageBytes> buffer_;
  std::array<std::byte, shm::kRingRequestBytes> ring_request_;
  Answer ring_answer_;
};

}  // namespace tensord::daemon
