// Server: accepts clients and runs their sessions until it is told to stop.
#pragma once

#include <deque>
#include <memory>

#include <boost/asio.hpp>

#include "listener.hpp"
#include "options.hpp"
#include "rings.hpp"
#include "service.hpp"

namespace tensord::daemon {

class Session;

class Server {
 public:
  Server(Listener listener, const Options& options);
  // Serves until SIGTERM, SIGINT or a client's Shutdown.
  void run();

 private:
  boost::asio::awaitable<void> accept_clients();
  void make_room_among_the_silent();
  void stop();

  Listener listener_;
  boost::asio::io_context loop_{1};
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::signal_set signals_;
  Service service_;
  Rings rings_;
  std::deque<std::weak_ptr<Session>> silent_;  // the longest first; those that spoke go with the next accept
};

}  // namespace tensord::daemon
