// Session: one client's socket, from accept to hang-up.
//
// It receives a datagram, checks its form, hands it to the Service, and sends the reply. It ends
// when the client hangs up, breaks the form (logged once), does not read its replies, or does not
// say Hello in time. However it ends, the Service hears farewell exactly once.
// Threads  one, that of the io_context. Lives as long as its coroutine runs.
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
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "service.hpp"

namespace tensord::daemon {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::io_context& loop, os::UniqueFd socket, Service& service);
  boost::asio::awaitable<void> run();

 private:
  enum class Next { kGoOn, kEnd };

  boost::asio::awaitable<Next> receive_one();
  boost::asio::awaitable<Next> handle(std::span<const std::byte> message);
  Next hello(std::span<const std::byte> message);
  void end_unless_greeted_in_time();

  // A copy of the message as a T, if it has T's size.
  template <class T>
  std::optional<T> parse(std::span<const std::byte> message);
  // Sends what the service answered, with the header filled in.
  template <class Reply>
  Next answer(const protocol::RequestHeader& request, Result<Reply> result,
              std::span<const os::UniqueFd> fds = {});
  Next send(std::span<const std::byte> message, std::span<const int> fds = {});
  Next refuse(const std::string& what);

  boost::asio::posix::stream_descriptor socket_;
  Service& service_;
  Credentials who_;
  std::optional<ClientId> client_;  // from Hello on
  boost::asio::steady_timer hello_timer_;
  std::array<std::byte, protocol::kMaxMessageBytes> buffer_;
};

}  // namespace tensord::daemon
