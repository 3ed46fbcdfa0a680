// Scoreboard: what the workers know of their own doing, in shared memory of the test's own. A worker may be
// killed at any instruction; what it was told is done stands here, and at most one operation of it is in
// doubt.
//
// Owns     a mapping of a memfd, which forked workers inherit and those in Python map again.
// Threads  any. What only one process writes is said below; everything else is added to atomically.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "counts.hpp"
#include "names.hpp"

namespace tensord::soak {

// What its owner knows of one name (or of one batch of names).
//
//   quiet (even sequence)   the tensor of the name is the one with the stamp `now`; 0: there is none
//   odd sequence            it is `now` or `next`: an operation is under way, or was when its owner died
//
// Order  begin: `next`, then the sequence turns odd, then the request. End: the reply, then `now`, then the
//        sequence turns even. So who reads the same sequence before and after a look at the store knows what
//        he must have seen.
struct alignas(64) Cell {
  std::atomic<std::uint64_t> sequence;  // these four are written by the owner alone
  std::atomic<std::uint64_t> now;
  std::atomic<std::uint64_t> next;
  std::atomic<std::uint64_t> last_stamp;
  // Of live tensors. Newest write that ended, as stamp << 32 | beat; who begins to read later sees no older
  // one.
  std::atomic<std::uint64_t> written;
  // A live tensor may be torn if a writer died: if these differ.
  std::atomic<std::uint64_t> writes_begun;
  std::atomic<std::uint64_t> writes_ended;
  // The same of the owner in Python, which has no atomic addition.
  std::atomic<std::uint64_t> python_writes_begun;
  std::atomic<std::uint64_t> python_writes_ended;

  [[nodiscard]] bool may_be_torn() const {
    return writes_begun != writes_ended || python_writes_begun != python_writes_ended;
  }
};
static_assert(sizeof(Cell) == 128 && std::atomic<std::uint64_t>::is_always_lock_free);

struct alignas(64) Worker {
  std::atomic<std::uint64_t> progress;  // grows; who does not move is stuck
  std::atomic<std::uint64_t> doing;     // a Count
  std::array<std::atomic<std::uint64_t>, kCounts> counts;
};

struct Fault {
  std::atomic<std::uint32_t> is_written;
  char text[508];
};

inline constexpr unsigned kMaxWorkers = 32;
inline constexpr unsigned kMaxFaults = 32;  // with a text; all are counted

struct Board {
  std::atomic<std::uint64_t> stop;
  std::atomic<std::uint64_t> lives[kRanges];  // of the producers of the range; written by them
  std::atomic<std::uint64_t> faults;
  std::atomic<std::uint64_t> lost_bytes;
  std::atomic<std::uint64_t> leaks;
  Cell cells[kRanges][kCells];
  Worker workers[kMaxWorkers];
  Fault fault_texts[kMaxFaults];
};

class Scoreboard {
 public:
  Scoreboard();
  Scoreboard(const Scoreboard&) = delete;
  Scoreboard& operator=(const Scoreboard&) = delete;
  ~Scoreboard();

  [[nodiscard]] Board* operator->() const { return board_; }
  [[nodiscard]] Cell& cell(const Place& place) const { return board_->cells[place.range][place.cell]; }
  [[nodiscard]] bool stopped() const { return board_->stop != 0; }
  [[nodiscard]] int fd() const { return fd_; }
  // Where things are, for worker.py: JSON.
  [[nodiscard]] std::string layout() const;

  // What must not be. Bytes lost: that are not there, or not right, although they must be.
  void fault(std::string_view text, std::uint64_t lost_bytes = 0) const;
  void leak(std::string_view text) const;

 private:
  int fd_ = -1;
  Board* board_ = nullptr;
};

}  // namespace tensord::soak
