// fork_guard: what happens to this process's connections when it forks.
//
// A fork copies every view but not the pins behind them: both processes would subtract from the
// same counters. So the handler that runs just before the fork freezes every ledger (shm/ledger.hpp),
// and later calls, in parent and child, go through a fresh connection. Before fork() returns, on either
// side, whoever would keep an old connection for later calls lets go of it (AfterFork): it would keep the
// pins in it, which nobody subtracts any more, for as long as its process makes no call.
// Threads  any. A fork waits for connection attempts under way, so that a child never inherits
//          one half made.
// Limit    pthread_atfork runs for fork() only. vfork, posix_spawn and subprocess replace the
//          program at once and hold no views.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>

#include "shm/ledger.hpp"

namespace tensord::client {

// Enters a ledger for freezing as long as the object lives.
class FreezeOnFork {
 public:
  explicit FreezeOnFork(shm::Ledger ledger);
  FreezeOnFork(const FreezeOnFork&) = delete;
  FreezeOnFork& operator=(const FreezeOnFork&) = delete;
  ~FreezeOnFork();

 private:
  friend void freeze_all_ledgers();
  shm::Ledger ledger_;
  FreezeOnFork* next_ = nullptr;
  FreezeOnFork* previous_ = nullptr;
};

// Calls something on both sides of each fork, before fork() returns there, as long as the object lives. Forks
// and connecting are held off meanwhile.
class AfterFork {
 public:
  enum class Side { kParent, kChild };
  explicit AfterFork(std::function<void(Side)> call);  // which must not throw
  AfterFork(const AfterFork&) = delete;
  AfterFork& operator=(const AfterFork&) = delete;
  ~AfterFork();

 private:
  friend void call_after_fork(Side side);
  const std::function<void(Side)> call_;
  AfterFork* next_ = nullptr;
  AfterFork* previous_ = nullptr;
};

// Held while connecting: no fork happens meanwhile, and one thread connects at a time.
[[nodiscard]] std::unique_lock<std::mutex> hold_off_forks();

// How many forks lie between the first process and this one. Something made at another depth
// belongs to another process.
[[nodiscard]] std::uint32_t fork_depth();

}  // namespace tensord::client
