// Server: accepts clients and runs their sessions until it is told to stop.
#pragma once

#include <boost/asio.hpp>

#include "listener.hpp"
#include "options.hpp"
#include "rings.hpp"
#include "service.hpp"

namespace tensord::daemon {

class Server {
 public:
  Server(Listener listener, const Options& options);
  // Serves until SIGTERM, SIGINT or a client's Shutdown.
  void run();

 private:
  boost::asio::awaitable<void> accept_clients();
  void stop();

  Listener listener_;
  boost::asio::io_context loop_{1};
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::signal_set signals_;
  Service service_;
  Rings rings_;
};

}  // namespace tensord::daemon
