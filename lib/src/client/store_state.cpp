#include "client/store_state.hpp"

#include <utility>

#include "client/locate.hpp"

namespace tensord::client {

StoreState::StoreState(std::string socket, os::UniqueFd connected) : socket_(std::move(socket)) {
  const auto no_forks = hold_off_forks();
  if (!connected) connected = dial(socket_);
  use(Connection::open(std::move(connected), socket_, counters_));
}

void StoreState::use(std::shared_ptr<Connection> connection) {
  held_ = std::move(connection);
  store_id_ = held_->store_id();
  every_current_.emplace_front(held_);
  current_.store(&every_current_.front(), std::memory_order_release);
}

std::shared_ptr<Connection> StoreState::reconnect() {
  const auto no_forks = hold_off_forks();
  if (closed_) throw ConnectionLostError("this Store was closed: connect() again");
  if (held_ && !held_->frozen()) return held_;  // another thread was faster
  std::shared_ptr<Connection> fresh = Connection::open(dial(socket_), socket_, counters_);
  if (fresh->store_id() != store_id_) {
    throw ConnectionLostError("the daemon at " + socket_ +
                              " was replaced by one with another store: connect() again to use that");
  }
  use(fresh);
  return fresh;
}

void StoreState::after_fork(AfterFork::Side side) noexcept {
  if (side == AfterFork::Side::kChild) makers_.clear();
  if (held_ && side == AfterFork::Side::kParent && held_->made_bound_tensors()) {
    makers_.push_front(std::move(held_));
  }
  held_.reset();
}

void StoreState::close() noexcept {
  const auto no_forks = hold_off_forks();
  closed_ = true;
  current_.store(nullptr, std::memory_order_release);
  held_.reset();
  makers_.clear();
}

}  // namespace tensord::client
