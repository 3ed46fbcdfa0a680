#include <utility>

#include "session.hpp"

#include <cstring>
#include <system_error>

#include "log.hpp"
#include "os/socket.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;
using protocol::MessageType;

constexpr std::chrono::seconds kHelloTimeout{10};
// Messages handled in a row before others get their turn.
constexpr int kMessagesPerTurn = 32;

}  // namespace

Session::Session(asio::io_context& loop, os::UniqueFd socket, Service& service)
    : socket_(loop, socket.release()), service_(service), hello_timer_(loop) {
  const os::PeerCredentials peer = os::peer_credentials(socket_.native_handle());
  who_ = {peer.pid, peer.uid, peer.gid};
}

asio::awaitable<void> Session::run() {
  end_unless_greeted_in_time();
  try {
    for (int handled = 0;; ++handled) {
      if (co_await receive_one() == Next::kEnd) break;
      if (handled % kMessagesPerTurn == kMessagesPerTurn - 1) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
      }
    }
  } catch (const std::exception& error) {
    // A fault of the system or of ours: this client is lost, the others are not.
    log::error("the session of pid " + std::to_string(who_.pid) + " ends: " + error.what());
  }
  hello_timer_.cancel();
  if (client_) service_.farewell(*client_);
}

void Session::end_unless_greeted_in_time() {
  hello_timer_.expires_after(kHelloTimeout);
  hello_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && !self->client_) self->socket_.cancel();
  });
}

asio::awaitable<Session::Next> Session::receive_one() {
  // No room for descriptors: the kernel drops any that a client sends, and says so.
  os::Received received =
      os::receive_message(socket_.native_handle(), buffer_, /*max_fds=*/0, /*block=*/false);
  if (received.would_block) {
    boost::system::error_code error;
    co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                                asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return client_ ? Next::kEnd : refuse("it did not say hello in time");
    co_return Next::kGoOn;
  }
  if (received.size_bytes == 0) co_return Next::kEnd;
  if (received.truncated) co_return refuse("its message is too large, or carries descriptors");
  const auto message = std::span<const std::byte>(buffer_).first(received.size_bytes);
  if (!client_) co_return hello(message);
  co_return co_await handle(message);
}

Session::Next Session::hello(std::span<const std::byte> message) {
  const auto request = parse<protocol::Hello>(message);
  if (!request || request->magic != protocol::kHelloMagic) return refuse("its first message is no hello");
  Result<Service::Welcome> welcome = service_.welcome(who_, *request);
  if (!welcome) {
    log::warning("pid " + std::to_string(who_.pid) + " is turned away: " + welcome.failure().text);
    answer<protocol::HelloReply>(request->header, welcome.failure());
    return Next::kEnd;
  }
  client_ = welcome->client;
  hello_timer_.cancel();
  return answer<protocol::HelloReply>(request->header, welcome->reply, welcome->fds);
}

asio::awaitable<Session::Next> Session::handle(std::span<const std::byte> message) {
  protocol::RequestHeader header;
  if (message.size() < sizeof header) co_return refuse("its message has no header");
  std::memcpy(&header, message.data(), sizeof header);
  switch (header.type) {
    case MessageType::kCreate:
      if (const auto request = parse<protocol::Create>(message)) {
        co_return answer(header, co_await service_.create(*client_, *request));
      }
      break;
    case MessageType::kPublish:
      if (const auto request = parse<protocol::Publish>(message)) {
        co_return answer(header, service_.publish(*client_, *request));
      }
      break;
    case MessageType::kPublishMany:
      if (const auto request = parse<protocol::PublishMany>(message)) {
        co_return answer(header, service_.publish_many(*client_, *request));
      }
      break;
    case MessageType::kAbort:
      if (const auto request = parse<protocol::Abort>(message)) {
        co_return answer(header, service_.abort(*client_, *request));
      }
      break;
    case MessageType::kDelete:
      if (const auto request = parse<protocol::Delete>(message)) {
        co_return answer(header, service_.remove(*client_, *request));
      }
      break;
    case MessageType::kFind:
      if (const auto request = parse<protocol::Find>(message)) {
        std::vector<os::UniqueFd> fds;
        Result<protocol::FindReply> result = service_.find(*client_, *request, fds);
        co_return answer(header, std::move(result), fds);
      }
      break;
    case MessageType::kGrant:
      if (const auto request = parse<protocol::Grant>(message)) {
        std::vector<os::UniqueFd> fds;
        Result<protocol::GrantReply> result = service_.grant(*client_, *request, fds);
        co_return answer(header, std::move(result), fds);
      }
      break;
    case MessageType::kList:
      if (const auto request = parse<protocol::List>(message)) {
        co_return answer<protocol::ListReply>(header, service_.list(*request));
      }
      break;
    case MessageType::kStats:
      if (parse<protocol::Stats>(message)) co_return answer<protocol::StatsReply>(header, service_.stats());
      break;
    case MessageType::kAskAbout:
      if (const auto request = parse<protocol::AskAbout>(message)) {
        co_return answer<protocol::AskAboutReply>(header, service_.ask_about(*request));
      }
      break;
    case MessageType::kShutdown:
      if (parse<protocol::Shutdown>(message)) co_return answer(header, service_.shutdown(*client_));
      break;
    case MessageType::kNudge:
      if (const auto request = parse<protocol::Nudge>(message)) {
        service_.nudge(*request);
        co_return Next::kGoOn;
      }
      break;
    case MessageType::kHello: co_return refuse("it says hello twice");
    default:
      co_return refuse("it sends a message of the unknown type " +
                       std::to_string(static_cast<std::uint32_t>(header.type)));
  }
  co_return refuse("its message of type " + std::to_string(static_cast<std::uint32_t>(header.type)) +
                   " has " + std::to_string(message.size()) + " bytes");
}

template <class T>
std::optional<T> Session::parse(std::span<const std::byte> message) {
  T request;
  if (message.size() != sizeof request) return std::nullopt;
  std::memcpy(&request, message.data(), sizeof request);
  if (request.header.type != T::kType) return std::nullopt;
  return request;
}

template <class Reply>
Session::Next Session::answer(const protocol::RequestHeader& request, Result<Reply> result,
                              std::span<const os::UniqueFd> fds) {
  if (result) {
    result->header = {request.type, request.id, Errc::kOk, 0};
    std::vector<int> numbers;
    for (const os::UniqueFd& fd : fds) numbers.push_back(fd.get());
    return send(protocol::bytes_of(result.value()), numbers);
  }
  protocol::ErrorReply error;
  error.header = {request.type, request.id, result.failure().code, 0};
  error.text.assign(result.failure().text);
  return send(protocol::bytes_of(error));
}

Session::Next Session::send(std::span<const std::byte> message, std::span<const int> fds) {
  // A client has a few requests under way (kMaxRequestsUnderWay) and takes their replies, so a full socket
  // means that it does not read. The daemon does not wait for anybody.
  if (os::send_message(socket_.native_handle(), message, fds, /*block=*/false)) return Next::kGoOn;
  return refuse("it does not read its replies, or is gone");
}

Session::Next Session::refuse(const std::string& what) {
  log::warning("pid " + std::to_string(who_.pid) + ", uid " + std::to_string(who_.uid) +
               " is disconnected: " + what);
  return Next::kEnd;
}

}  // namespace tensord::daemon
