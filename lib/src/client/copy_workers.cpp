// A job lies on its caller's stack. A worker counts itself in and out of it under the mutex, and the caller
// takes the job back before it waits for the count to be zero: who wakes up after that finds no job.
#include "client/copy_workers.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <system_error>

#include "client/spin.hpp"

namespace tensord::client {
namespace {

// More than these saturate the memory of every machine that one process has for itself.
constexpr std::size_t kMostThreads = 4;

std::size_t allowed_cpus() {
  cpu_set_t allowed;
  // Fails only on machines with more processors than fit.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return kMostThreads;
  return static_cast<std::size_t>(CPU_COUNT(&allowed));
}

// What TENSORD_COPY_THREADS says; anything but a number from 1 on says nothing.
std::size_t configured_threads() {
  const char* const text = std::getenv("TENSORD_COPY_THREADS");
  if (text == nullptr) return kMostThreads;
  std::size_t threads = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, threads);
  return error == std::errc() && rest == end && threads > 0 ? threads : kMostThreads;
}

std::atomic<CopyWorkers*> current{nullptr};

// The old object stays where it is: somebody may hold its mutex in the parent, so nobody can take it down
// here.
void forget_in_child() { current.store(nullptr, std::memory_order_relaxed); }

[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, forget_in_child);

}  // namespace

CopyWorkers& CopyWorkers::of_this_process() {
  if (CopyWorkers* workers = current.load(std::memory_order_acquire)) return *workers;
  // Without a mutex, that a fork could find locked.
  auto fresh = std::make_unique<CopyWorkers>(std::min({allowed_cpus(), kMostThreads, configured_threads()}));
  CopyWorkers* expected = nullptr;
  if (current.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel)) {
    return *fresh.release();
  }
  return *expected;
}

CopyWorkers::~CopyWorkers() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  offered_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CopyWorkers::share(std::size_t count, const Work& work) {
  Job job{work, count};
  const bool offered = count > 1 && wanted_ > 0 && offer(job);
  job.run(Who::kCaller);
  if (offered) withdraw(job);
}

void CopyWorkers::Job::run(Who who) {
  for (;;) {
    const std::size_t slice = next.fetch_add(1, std::memory_order_relaxed);
    if (slice >= count) return;
    work(slice, who);
  }
}

bool CopyWorkers::offer(Job& job) {
  {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || job_ != nullptr) return false;  // they help somebody else
    if (!started_) start_threads();
    if (threads_.empty()) return false;
    job_ = &job;
  }
  offered_.notify_all();
  return true;
}

void CopyWorkers::withdraw(const Job& job) {
  std::unique_lock lock(mutex_);
  job_ = nullptr;
  const auto all_left = [&] { return job.at_work.load(std::memory_order_acquire) == 0; };
  lock.unlock();
  // A slice takes less time than falling asleep and being woken.
  if (spin(all_left)) return;
  lock.lock();
  left_.wait(lock, all_left);
}

void CopyWorkers::start_threads() {
  started_ = true;
  // A thread inherits the mask: signals are for the threads that the program knows.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    for (std::size_t i = 0; i < wanted_; ++i) threads_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {
    // No more threads for this process: fewer, or none, copy as well.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void CopyWorkers::serve() {
  ::pthread_setname_np(::pthread_self(), "tensord-copy");
  std::unique_lock lock(mutex_);
  for (;;) {
    offered_.wait(lock, [&] { return ending_ || (job_ != nullptr && job_->has_more()); });
    if (ending_) return;
    Job& job = *job_;
    job.at_work.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    job.run(Who::kWorker);
    lock.lock();
    if (job.at_work.fetch_sub(1, std::memory_order_release) == 1) left_.notify_all();
  }
}

}  // namespace tensord::client
