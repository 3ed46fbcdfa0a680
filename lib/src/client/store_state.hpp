// StoreState: what the copies of one Store share: where the daemon is, and the connection in use.
//
// The connection changes when the process forks (fork_guard.hpp), while other threads attach. So a
// thread takes a reference to the current one without a lock: `current_` points to a weak_ptr that
// never changes and lives as long as this object, and weak_ptr::lock() succeeds only while somebody
// still holds the connection. A reference costs one compare-and-swap; while the process has one thread, it is
// counted without, which saves a twentieth of a warm attach.
// Threads  any.
#pragma once

#include <sys/single_threaded.h>

#include <atomic>
#include <forward_list>
#include <memory>
#include <string>

#include "client/connection.hpp"

namespace tensord::client {

class StoreState {
 public:
  // Takes over a connected socket; an empty one is dialled.
  StoreState(std::string socket, os::UniqueFd connected);

  // The connection to use now; connects anew after a fork. Throws ConnectionLostError when closed.
  [[nodiscard]] std::shared_ptr<Connection> connection() {
    if (const std::weak_ptr<Connection>* current = current_.load(std::memory_order_acquire)) {
      std::shared_ptr<Connection> connection = __libc_single_threaded ? held_ : current->lock();
      if (connection && !connection->frozen()) return connection;
    }
    return reconnect();
  }
  void close() noexcept;

  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] const Counters& counters() const { return *counters_; }

 private:
  std::shared_ptr<Connection> reconnect();
  void use(std::shared_ptr<Connection> connection);

  const std::string socket_;
  const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::atomic<const std::weak_ptr<Connection>*> current_{nullptr};

  // Guarded by hold_off_forks().
  std::shared_ptr<Connection> held_;
  std::forward_list<std::weak_ptr<Connection>> every_current_;
  bool closed_ = false;
};

}  // namespace tensord::client
