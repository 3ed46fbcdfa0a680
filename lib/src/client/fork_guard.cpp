#include "client/fork_guard.hpp"

#include <pthread.h>

#include <atomic>
#include <utility>

namespace tensord::client {
namespace {

// All are taken, in this order, by the handler before a fork, and given back on both sides. That of the
// ledgers first: who lets go of a connection takes its ledger out.
// Leaked on purpose: views may be dropped after static destructors ran.
std::mutex& connecting_mutex = *new std::mutex;
std::mutex& calls_mutex = *new std::mutex;
std::mutex& registry_mutex = *new std::mutex;
FreezeOnFork* registry_head = nullptr;
AfterFork* calls_head = nullptr;
std::atomic<std::uint32_t> depth{0};

}  // namespace

void freeze_all_ledgers() {
  for (FreezeOnFork* entry = registry_head; entry != nullptr; entry = entry->next_) entry->ledger_.freeze();
}

void call_after_fork(AfterFork::Side side) {
  for (AfterFork* entry = calls_head; entry != nullptr; entry = entry->next_) entry->call_(side);
}

namespace {

void before_fork() {
  connecting_mutex.lock();
  calls_mutex.lock();
  registry_mutex.lock();
  freeze_all_ledgers();
}
void after_fork(AfterFork::Side side) {
  registry_mutex.unlock();
  call_after_fork(side);
  calls_mutex.unlock();
  connecting_mutex.unlock();
}
void after_fork_in_parent() { after_fork(AfterFork::Side::kParent); }
void after_fork_in_child() {
  depth.fetch_add(1, std::memory_order_relaxed);
  after_fork(AfterFork::Side::kChild);
}

[[maybe_unused]] const int registered =
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

}  // namespace

FreezeOnFork::FreezeOnFork(shm::Ledger ledger) : ledger_(ledger) {
  const std::lock_guard lock(registry_mutex);
  next_ = registry_head;
  if (next_ != nullptr) next_->previous_ = this;
  registry_head = this;
}

FreezeOnFork::~FreezeOnFork() {
  const std::lock_guard lock(registry_mutex);
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ != nullptr ? previous_->next_ : registry_head) = next_;
}

AfterFork::AfterFork(std::function<void(Side)> call) : call_(std::move(call)) {
  const std::lock_guard lock(calls_mutex);
  next_ = calls_head;
  if (next_ != nullptr) next_->previous_ = this;
  calls_head = this;
}

AfterFork::~AfterFork() {
  const std::lock_guard lock(calls_mutex);
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ != nullptr ? previous_->next_ : calls_head) = next_;
}

std::unique_lock<std::mutex> hold_off_forks() { return std::unique_lock(connecting_mutex); }

std::uint32_t fork_depth() { return depth.load(std::memory_order_relaxed); }

}  // namespace tensord::client
