// CopyWorkers: a few threads that help whoever copies much.
//
// The work comes in slices, and each takes the next one: the caller from the first moment on, a worker as
// soon as it is awake. So a machine whose other processors are busy loses nothing but a wake-up, and a caller
// never waits for a worker that has not begun.
//
// Owns     its threads, started when there is work for the first time; named "tensord-copy", all signals
//          blocked. That of the process is never destroyed: its threads sleep when the process ends.
// Threads  any may share; one at a time gets help, the others do their work alone.
// Forks    a child has none of the threads, so it begins with a new object.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tensord::client {

class CopyWorkers {
 public:
  enum class Who { kCaller, kWorker };
  using Work = std::function<void(std::size_t slice, Who who)>;

  // `threads` in all, the caller's included.
  explicit CopyWorkers(std::size_t threads) : wanted_(threads > 0 ? threads - 1 : 0) {}
  CopyWorkers(const CopyWorkers&) = delete;
  CopyWorkers& operator=(const CopyWorkers&) = delete;
  // REQUIRES: nobody shares.
  ~CopyWorkers();

  // As many threads as the process has processors, at most 4, at most TENSORD_COPY_THREADS.
  static CopyWorkers& of_this_process();

  // Calls work(slice, who) once for each slice below `count`, several at once, and returns after the last.
  // REQUIRES: work throws nothing, and shares nothing itself.
  void share(std::size_t count, const Work& work);

 private:
  struct Job {
    const Work& work;
    const std::size_t count;
    std::atomic<std::size_t> next{0};
    // Changed under the mutex, and by a worker for the last time when it will not look at the job again.
    std::atomic<int> at_work{0};

    void run(Who who);
    [[nodiscard]] bool has_more() const { return next.load(std::memory_order_relaxed) < count; }
  };

  bool offer(Job& job);
  void withdraw(const Job& job);
  void start_threads();
  void serve();

  const std::size_t wanted_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable offered_;
  std::condition_variable left_;
  Job* job_ = nullptr;
  bool started_ = false;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tensord::client
