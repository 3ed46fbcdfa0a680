// Dispatcher: from the bytes of a request to the bytes of its reply, whichever road both take.
//
// It checks a request's form, has the Service do it, and puts the outcome into words of the protocol.
// Threads  one, that of the io_context.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio.hpp>

#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "result.hpp"
#include "service.hpp"

namespace tensord::daemon {

// What goes back to the client: one message, and the descriptors that travel with it.
class Answer {
 public:
  // The reply, or the error that came instead; the header is filled in.
  template <class Reply>
  void set(const protocol::RequestHeader& request, Result<Reply> result) {
    if (!result) return set_error(request, result.failure());
    result->header = {request.type, request.id, Errc::kOk, 0};
    set_bytes(protocol::bytes_of(result.value()));
  }
  void set_error(const protocol::RequestHeader& request, const Failure& failure);
  void clear() {
    size_bytes_ = 0;
    fds.clear();
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(buffer_).first(size_bytes_); }

  std::vector<os::UniqueFd> fds;

 private:
  void set_bytes(std::span<const std::byte> message);

  std::array<std::byte, protocol::kMaxMessageBytes> buffer_;
  std::size_t size_bytes_ = 0;
};

class Dispatcher {
 public:
  explicit Dispatcher(Service& service) : service_(service) {}

  // What becomes of a request. kSilent: by socket it wants no reply. kBroken: its form is wrong, which ends
  // the client; `why` says what about it.
  struct Outcome {
    enum Kind { kAnswered, kSilent, kBroken } kind = kAnswered;
    std::string why{};
  };
  // Any request but Hello, which comes first and is the session's. Nothing: it has to wait until there is
  // memory, and handle() does that; nothing has changed yet.
  [[nodiscard]] std::optional<Outcome> handle_now(ClientId client, std::span<const std::byte> message,
                                                  Answer& answer);
  // REQUIRES: `message` and `answer` stay until it has ended.
  [[nodiscard]] boost::asio::awaitable<Outcome> handle(ClientId client, std::span<const std::byte> message,
                                                       Answer& answer);

 private:
  Service& service_;
};

}  // namespace tensord::daemon
