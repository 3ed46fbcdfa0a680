// StoreState: what the copies of one Store share: where the daemon is, and the connection in use.
//
// The connection changes when the process forks (fork_guard.hpp), while other threads attach. So a
// thread takes a reference to the current one without a lock: `current_` points to a weak_ptr that
// never changes and lives as long as this object, and weak_ptr::lock() succeeds only while somebody
// still holds the connection. A reference costs one compare-and-swap; while the process has one thread, it is
// counted without, which saves a twentieth of a warm attach.
//
// After a fork the old connection is let go of at once, in parent and child: its views, and nobody else, keep
// it. But what this process bound to itself (Lifetime::kClient) goes with the connection it was made through,
// so the maker keeps that one, and the child does not.
// Threads  any.
#pragma once

#include <sys/single_threaded.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <string>

#include "client/connection.hpp"
#include "client/fork_guard.hpp"

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
  void after_fork(AfterFork::Side side) noexcept;

  const std::string socket_;
  const std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::atomic<const std::weak_ptr<Connection>*> current_{nullptr};

  // Guarded by hold_off_forks().
  std::shared_ptr<Connection> held_;  // null between a fork and the next call
  std::array<std::uint8_t, 16> store_id_{};
  std::forward_list<std::shared_ptr<Connection>> makers_;  // of tensors bound to this process
  std::forward_list<std::weak_ptr<Connection>> every_current_;
  bool closed_ = false;

  const AfterFork after_fork_{[this](AfterFork::Side side) { after_fork(side); }};  // last
};

}  // namespace tensord::client
