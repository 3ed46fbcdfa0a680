#include <utility>

#include "server.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>

#include "human.hpp"
#include "log.hpp"
#include "session.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;

// When descriptors run out, accept() fails until some are closed; asking at once again would spin.
constexpr std::chrono::milliseconds kAcceptPause{100};
// Who has connected says hello at once, so more that have not are none of ours; yet each costs a descriptor.
// The one that has been silent longest makes room for the next.
constexpr std::size_t kMaxSilent = 256;

}  // namespace

Server::Server(Listener listener, const Options& options, ServiceManager& manager,
               std::optional<Inherited> inherited)
    : manager_(manager),
      listener_(std::move(listener)),
      socket_(loop_, listener_.release_fd()),
      signals_(loop_, SIGTERM, SIGINT),
      service_(loop_, options, manager, std::move(inherited), [this](Service::End how) { end(how); }),
      rings_(loop_) {
  if (const auto interval = manager.watchdog_interval()) {
    watchdog_.emplace(
        loop_, *interval, [] { return true; }, [this] { manager_.notify("WATCHDOG=1"); });
    watchdog_->while_needed();
  }
  for (Service::Returning& returning : service_.take_returning()) {
    begin(std::make_shared<Session>(loop_, std::move(returning), service_, rings_));
  }
}

Service::End Server::run() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    log::info(std::string("stopping on ") + (signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    end(Service::End::kSignal);
  });
  asio::co_spawn(loop_, accept_clients(), asio::detached);
  loop_.run();
  return how_;
}

std::string Server::holdings() const {
  const protocol::StatsReply has = service_.stats();
  return std::to_string(has.tensors) + " tensors, " + human_bytes(has.used_bytes) + " and " +
         std::to_string(has.connections) + " connections";
}

void Server::begin(std::shared_ptr<Session> session) {
  asio::co_spawn(
      loop_, [session = std::move(session)] { return session->run(); }, asio::detached);
}

void Server::end(Service::End how) {
  how_ = how;
  if (how != Service::End::kRestart) listener_.unlink();
  // After the handlers that are ready: the reply to Shutdown is among them.
  asio::post(loop_, [this] { loop_.stop(); });
}

asio::awaitable<void> Server::accept_clients() {
  asio::steady_timer pause(loop_);
  for (;;) {
    const int fd = ::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      auto session = std::make_shared<Session>(loop_, os::UniqueFd(fd), service_, rings_);
      begin(session);
      make_room_among_the_silent();
      silent_.push_back(std::move(session));
      // Who is there already does not wait until it is known whether somebody else is.
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    } else if (errno == EAGAIN) {
      co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      log::error("cannot accept clients: " + std::generic_category().message(errno));
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::use_awaitable);
    }
  }
}

void Server::make_room_among_the_silent() {
  std::erase_if(silent_, [](const std::weak_ptr<Session>& weak) {
    const auto session = weak.lock();
    return !session || !session->is_silent();
  });
  if (silent_.size() < kMaxSilent) return;
  if (const auto longest = silent_.front().lock()) longest->make_room();
  silent_.pop_front();
}

}  // namespace tensord::daemon
