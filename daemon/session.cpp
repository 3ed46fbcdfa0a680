#include <utility>

#include "session.hpp"

#include <sys/socket.h>

#include <cstring>
#include <system_error>

#include "log.hpp"
#include "os/bell.hpp"
#include "os/cpu.hpp"
#include "os/crash_point.hpp"
#include "os/futex.hpp"
#include "os/socket.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;
using os::crash_point;
using protocol::MessageType;

constexpr std::chrono::seconds kHelloTimeout{10};
// Messages handled in a row before others get their turn.
constexpr int kMessagesPerTurn = 32;

std::optional<protocol::Hello> parse_hello(std::span<const std::byte> message) {
  protocol::Hello hello;
  if (message.size() != sizeof hello) return std::nullopt;
  std::memcpy(&hello, message.data(), sizeof hello);
  const bool is_one = hello.header.type == MessageType::kHello && hello.magic == protocol::kHelloMagic;
  return is_one ? std::optional(hello) : std::nullopt;
}

}  // namespace

Session::Session(asio::io_context& loop, os::UniqueFd socket, Service& service, Rings& rings)
    : socket_(loop, socket.release()),
      bell_(loop),
      service_(service),
      dispatcher_(service),
      rings_(rings),
      hello_timer_(loop) {
  const os::PeerCredentials peer = os::peer_credentials(socket_.native_handle());
  who_ = {peer.pid, peer.uid, peer.gid};
}

Session::Session(asio::io_context& loop, Service::Returning returning, Service& service, Rings& rings)
    : Session(loop, std::move(returning.socket), service, rings) {
  client_ = returning.client;
  ring_ = returning.ring;
  bell_.assign(returning.bell.release());
  returning_ = std::move(returning);
}

asio::awaitable<void> Session::run() {
  try {
    if (returning_) resume_ring();
    for (int handled = 0;; ++handled) {
      if (co_await receive_one() == Next::kEnd) break;
      if (handled % kMessagesPerTurn == kMessagesPerTurn - 1) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
      }
    }
  } catch (const std::exception& error) {
    fail(error);
  }
  hello_timer_.cancel();
  ended_ = true;
  bell_.close();
  rings_.forget(this);
  farewell();
}

// Not while a request is being answered: it still speaks of the client.
void Session::farewell() {
  if (client_ && ended_ && ring_use_ != RingUse::kWaits) service_.farewell(*client_);
}

void Session::end_unless_greeted_in_time() {
  hello_timer_.expires_after(kHelloTimeout);
  hello_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && !self->client_) self->socket_.cancel();
  });
}

void Session::make_room() {
  refuse("it said no hello yet, and too many others did not either");
  shut();
}

asio::awaitable<Session::Next> Session::receive_one() {
  const os::Received received = os::peek_message(socket_.native_handle(), buffer_);
  if (received.would_block) {
    // Most have said hello by the time they are looked at.
    if (!client_) end_unless_greeted_in_time();
    boost::system::error_code error;
    co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                                asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return client_ ? Next::kEnd : refuse("it did not say hello in time");
    co_return Next::kGoOn;
  }
  if (received.size_bytes == 0) co_return Next::kEnd;
  if (received.truncated) co_return refuse("its message is too large, or carries descriptors");
  const Next next = co_await answer(std::span<const std::byte>(buffer_).first(received.size_bytes));
  crash_point("message.answered");
  // A daemon that dies before this leaves it to be answered again, which its client knows by the id.
  os::drop_message(socket_.native_handle());
  co_return next;
}

asio::awaitable<Session::Next> Session::answer(std::span<const std::byte> message) {
  const auto returning = std::exchange(returning_, std::nullopt);
  if (client_ && !returning) co_return co_await handle(message);
  const auto said_hello = parse_hello(message);
  if (!client_) co_return said_hello ? hello(*said_hello) : refuse("its first message is no hello");
  if (!said_hello) co_return co_await handle(message);
  // The daemon before this one may have died before it answered.
  Service::Welcome welcome = service_.welcome_again(*returning, bell_.native_handle());
  Answer reply;
  reply.set(said_hello->header, Result(welcome.reply));
  co_return send(reply.bytes(), welcome.fds);
}

Session::Next Session::hello(const protocol::Hello& request) {
  Result<Service::Welcome> welcome = service_.welcome(who_, request, socket_.native_handle());
  Answer answer;
  if (!welcome) {
    log::warning("pid " + std::to_string(who_.pid) + " is turned away: " + welcome.failure().text);
    answer.set_error(request.header, welcome.failure());
    send(answer.bytes());
    return Next::kEnd;
  }
  client_ = welcome->client;
  ring_ = welcome->ring;
  hello_timer_.cancel();
  answer.set(request.header, Result(welcome->reply));
  const Next next = send(answer.bytes(), welcome->fds);
  crash_point("client.greeted");
  bell_.assign(welcome->fds[2].release());
  listen_for_bell();
  return next;
}

// ---- requests by socket -----------------------------------------------------------------------

asio::awaitable<Session::Next> Session::handle(std::span<const std::byte> message) {
  Answer answer;
  const Dispatcher::Outcome outcome = co_await dispatcher_.handle(*client_, message, answer);
  switch (outcome.kind) {
    case Dispatcher::Outcome::kAnswered: co_return send(answer.bytes(), answer.fds);
    case Dispatcher::Outcome::kSilent: co_return Next::kGoOn;
    case Dispatcher::Outcome::kBroken: break;
  }
  co_return refuse(outcome.why);
}

Session::Next Session::send(std::span<const std::byte> message, std::span<const os::UniqueFd> fds) {
  std::vector<int> numbers;
  for (const os::UniqueFd& fd : fds) numbers.push_back(fd.get());
  // A client has a few requests under way (kMaxRequestsUnderWay) and takes their replies, so a full socket
  // means that it does not read. The daemon does not wait for anybody.
  if (os::send_message(socket_.native_handle(), message, numbers, /*block=*/false)) return Next::kGoOn;
  return refuse("it does not read its replies, or is gone");
}

void Session::resume_ring() {
  listen_for_bell();
  // It may sleep for an answer that it was not woken for, or have posted without ringing, to be looked at.
  os::futex_wake_all(ring_.sleep_word());
  rings_.rang(shared_from_this());
}

// ---- requests by ring -------------------------------------------------------------------------

void Session::listen_for_bell() {
  bell_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [self = shared_from_this()](const boost::system::error_code& error) {
                     if (error || self->ended_) return;
                     os::hush_bell(self->bell_.native_handle());
                     self->rings_.rang(self);
                     self->listen_for_bell();
                   });
}

void Session::watch_ring() { ring_.watch(os::this_cpu()); }
void Session::say_moving() { ring_.watch(shm::kMovingCpu); }
bool Session::is_beside_daemon() const { return ring_.client_cpu() == os::this_cpu(); }

bool Session::serve_ring() {
  if (ring_use_ != RingUse::kOpen || ended_) return false;
  int handled = 0;
  try {
    Next next = Next::kGoOn;
    for (; next == Next::kGoOn && ring_use_ == RingUse::kOpen && handled < kMessagesPerTurn; ++handled) {
      const shm::RingServer::Look look = ring_.look();
      if (look == shm::RingServer::Look::kNothing) break;
      next = look == shm::RingServer::Look::kRequest ? serve_one_of_ring()
                                                     : refuse("it posts more than its ring holds");
    }
    if (next == Next::kEnd) shut();
  } catch (const std::exception& error) {
    fail(error);
  }
  return handled > 0;
}

bool Session::leave_ring() {
  if (ring_use_ == RingUse::kOpen) return ring_.leave();
  // The request waits for memory, which takes its time; answer_later() looks for the next one by itself.
  ring_.unwatch();
  return true;
}

Session::Next Session::serve_one_of_ring() {
  const auto request = std::span<const std::byte>(ring_request_).first(ring_.copy_request(ring_request_));
  const auto outcome = dispatcher_.handle_now(*client_, request, ring_answer_);
  if (outcome) return answer_by_ring(*outcome);
  ring_use_ = RingUse::kWaits;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this(), request] { return self->answer_later(request); },
      asio::detached);
  return Next::kGoOn;
}

asio::awaitable<void> Session::answer_later(std::span<const std::byte> request) {
  try {
    const auto outcome = co_await dispatcher_.handle(*client_, request, ring_answer_);
    ring_use_ = RingUse::kOpen;
    if (!ended_ && answer_by_ring(outcome) == Next::kEnd) shut();
    // Nobody may be watching any more, and what was posted before that rang no bell.
    while (serve_ring()) co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  } catch (const std::exception& error) {
    fail(error);
  }
  farewell();
}

Session::Next Session::answer_by_ring(const Dispatcher::Outcome& outcome) {
  if (outcome.kind == Dispatcher::Outcome::kBroken) return refuse(outcome.why);
  if (!ring_answer_.fds.empty() || ring_answer_.bytes().size() > shm::kRingReplyBytes) {
    return refuse("it posts to its ring what belongs on its socket");
  }
  // By futex, not by datagram: with a datagram the kernel wakes a process where its waker runs, and so keeps
  // the two on one processor.
  crash_point("request.done");
  if (!ring_.answer(ring_answer_.bytes())) return Next::kGoOn;
  crash_point("request.answered");
  os::futex_wake_all(ring_.sleep_word());
  return Next::kGoOn;
}

// run() waits for the socket, and ends when it is shut.
void Session::shut() {
  ring_use_ = RingUse::kShut;
  ::shutdown(socket_.native_handle(), SHUT_RDWR);
}

void Session::fail(const std::exception& error) {
  // A fault of the system or of ours: this client is lost, the others are not.
  log::error("the session of pid " + std::to_string(who_.pid) + " ends: " + error.what());
  shut();
}

Session::Next Session::refuse(const std::string& what) {
  log::warning("pid " + std::to_string(who_.pid) + ", uid " + std::to_string(who_.uid) +
               " is disconnected: " + what);
  return Next::kEnd;
}

}  // namespace tensord::daemon
