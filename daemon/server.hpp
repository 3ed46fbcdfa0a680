// Server: accepts clients and runs their sessions until it is told to stop.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio.hpp>

#include "listener.hpp"
#include "options.hpp"
#include "recurring.hpp"
#include "rings.hpp"
#include "service.hpp"
#include "service_manager.hpp"

namespace tensord::daemon {

class Session;

class Server {
 public:
  // With what a daemon before this one left, it serves its clients on. Throws as Service does.
  Server(Listener listener, const Options& options, ServiceManager& manager,
         std::optional<Inherited> inherited);
  // Serves until SIGTERM, SIGINT or a client's Shutdown. Returns what it was asked for.
  Service::End run();
  // What is in the store: for the log.
  [[nodiscard]] std::string holdings() const;

 private:
  boost::asio::awaitable<void> accept_clients();
  void make_room_among_the_silent();
  void begin(std::shared_ptr<Session> session);
  void end(Service::End how);

  ServiceManager& manager_;
  Listener listener_;
  boost::asio::io_context loop_{1};
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::signal_set signals_;
  Service service_;
  Rings rings_;
  std::optional<Recurring> watchdog_;
  Service::End how_ = Service::End::kSignal;
  std::deque<std::weak_ptr<Session>> silent_;  // the longest first; those that spoke go with the next accept
};

}  // namespace tensord::daemon
