#include <utility>

#include "dispatcher.hpp"

#include <cstring>
#include <optional>

#include "os/noted_messages.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;
using protocol::MessageType;
using Outcome = Dispatcher::Outcome;

// A copy of the message as a T, if it has T's size.
template <class T>
std::optional<T> parse(std::span<const std::byte> message) {
  T request;
  if (message.size() != sizeof request) return std::nullopt;
  std::memcpy(&request, message.data(), sizeof request);
  return request;
}

Outcome broken(std::string why) { return {Outcome::kBroken, std::move(why)}; }

Outcome wrong_size(const protocol::RequestHeader& header, std::span<const std::byte> message) {
  return broken("its message of type " + std::to_string(static_cast<std::uint32_t>(header.type)) + " has " +
                std::to_string(message.size()) + " bytes");
}

// No more of the text than fits, and no character in part: Python would refuse the whole.
std::string_view cut(std::string_view text, std::size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  while (most_bytes > 0 && (static_cast<unsigned char>(text[most_bytes]) & 0xc0) == 0x80) --most_bytes;
  return text.substr(0, most_bytes);
}

}  // namespace

void Answer::set_error(const protocol::RequestHeader& request, const Failure& failure) {
  os::note_message(failure.text);
  protocol::ErrorReply error;
  error.header = {request.type, request.id, failure.code, 0};
  error.text.assign(cut(failure.text, error.text.bytes.size()));
  set_bytes(protocol::bytes_of(error));
}

void Answer::set_bytes(std::span<const std::byte> message) {
  std::memcpy(buffer_.data(), message.data(), message.size());
  size_bytes_ = message.size();
}

std::optional<Outcome> Dispatcher::handle_now(ClientId client, std::span<const std::byte> message,
                                              Answer& answer) {
  answer.clear();
  protocol::RequestHeader header;
  if (message.size() < sizeof header) return broken("its message has no header");
  std::memcpy(&header, message.data(), sizeof header);

  const auto reply_to = [&]<class Request>(auto service) -> Outcome {
    const auto request = parse<Request>(message);
    if (!request) return wrong_size(header, message);
    answer.set(header, service(*request));
    return {};
  };

  switch (header.type) {
    case MessageType::kCreate: {
      const auto request = parse<protocol::Create>(message);
      if (!request) return wrong_size(header, message);
      auto created = service_.create_now(client, *request);
      if (!created) return std::nullopt;
      answer.set(header, std::move(*created));
      return Outcome{};
    }
    case MessageType::kPublish:
      return reply_to.operator()<protocol::Publish>(
          [&](const auto& request) { return service_.publish(client, request); });
    case MessageType::kPublishSpare:
      return reply_to.operator()<protocol::PublishSpare>(
          [&](const auto& request) { return service_.publish_spare(client, request); });
    case MessageType::kPublishMany:
      return reply_to.operator()<protocol::PublishMany>(
          [&](const auto& request) { return service_.publish_many(client, request); });
    case MessageType::kAbort:
      return reply_to.operator()<protocol::Abort>(
          [&](const auto& request) { return service_.abort(client, request); });
    case MessageType::kDelete:
      return reply_to.operator()<protocol::Delete>(
          [&](const auto& request) { return service_.remove(client, request); });
    case MessageType::kFind:
      return reply_to.operator()<protocol::Find>(
          [&](const auto& request) { return service_.find(client, request, answer.fds); });
    case MessageType::kGrant:
      return reply_to.operator()<protocol::Grant>(
          [&](const auto& request) { return service_.grant(client, request, answer.fds); });
    case MessageType::kList:
      return reply_to.operator()<protocol::List>(
          [&](const auto& request) { return Result(service_.list(request)); });
    case MessageType::kStats:
      return reply_to.operator()<protocol::Stats>([&](const auto&) { return Result(service_.stats()); });
    case MessageType::kAskAbout:
      return reply_to.operator()<protocol::AskAbout>(
          [&](const auto& request) { return Result(service_.ask_about(request)); });
    case MessageType::kHolders:
      return reply_to.operator()<protocol::Holders>(
          [&](const auto& request) { return service_.holders(client, request); });
    case MessageType::kUsers:
      return reply_to.operator()<protocol::Users>(
          [&](const auto& request) { return Result(service_.users(client, request)); });
    case MessageType::kWaiters:
      return reply_to.operator()<protocol::Waiters>(
          [&](const auto& request) { return Result(service_.waiters(client, request)); });
    case MessageType::kShutdown:
      return reply_to.operator()<protocol::Shutdown>(
          [&](const auto& request) { return service_.shutdown(client, request); });
    case MessageType::kNudge: {
      const auto request = parse<protocol::Nudge>(message);
      if (!request) return wrong_size(header, message);
      service_.nudge(*request);
      answer.set(header, Result(protocol::NudgeReply{}));
      return Outcome{Outcome::kSilent};
    }
    case MessageType::kAwait: {
      const auto request = parse<protocol::Await>(message);
      if (!request) return wrong_size(header, message);
      service_.await(client, *request);
      answer.set(header, Result(protocol::AwaitReply{}));
      return Outcome{Outcome::kSilent};
    }
    case MessageType::kHello: return broken("it says hello twice");
    default:
      return broken("it sends a message of the unknown type " +
                    std::to_string(static_cast<std::uint32_t>(header.type)));
  }
}

asio::awaitable<Outcome> Dispatcher::handle(ClientId client, std::span<const std::byte> message,
                                            Answer& answer) {
  if (auto outcome = handle_now(client, message, answer)) co_return std::move(*outcome);
  const auto request = parse<protocol::Create>(message);
  answer.set(request->header, co_await service_.create(client, *request));
  co_return Outcome{};
}

}  // namespace tensord::daemon
