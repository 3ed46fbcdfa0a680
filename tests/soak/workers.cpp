#include "workers.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "os/crash_point.hpp"
#include "roles.hpp"

namespace tensord::soak {
namespace {

// Who does nothing for so long hangs: every wait of a worker's is much shorter.
constexpr std::chrono::seconds kStuckAfter{60};

// Where a worker may be told to die. The last two numbers: one of the kills is at the count-th time that it
// comes there, which is at most so many.
struct CrashPoint {
  const char* name;
  unsigned max_count;
};
constexpr CrashPoint kCommonPoints[] = {
    {"connect.done", 1},    {"attach.granted", 4},   {"attach.pinned", 200}, {"detach.unpinned", 200},
    {"request.sent", 100},  {"writing.begun", 20},   {"writing.ending", 20}, {"connect.done", 2},
    {"wait.looked", 10},    {"wait.asked", 5},       {"wait.sleeping", 5},   {"wait.woken", 3},
    {"version.looked", 10}, {"version.sleeping", 5}, {"version.woken", 3},
};
constexpr CrashPoint kProducerPoints[] = {
    {"build.created", 60},  {"put.filling", 60},          {"publish.pinned", 60}, {"publish.done", 60},
    {"row.under_way", 60},  {"batch.created", 200},       {"batch.filling", 200}, {"batch.pinned", 8},
    {"batch.published", 8}, {"batch.part_published", 12}, {"spare.pinned", 10},   {"spare.published", 10},
};

const CrashPoint& draw_point(Role role, Random& random) {
  const bool common = role != Role::kProducer || random.one_in(3);
  return common ? kCommonPoints[random.below(std::size(kCommonPoints))]
                : kProducerPoints[random.below(std::size(kProducerPoints))];
}

}  // namespace

const char* word_of(Role role) {
  switch (role) {
    case Role::kProducer: return "producer";
    case Role::kPythonProducer: return "producer in Python";
    case Role::kConsumer: return "consumer";
    case Role::kForker: return "forker";
  }
  return "";
}

Workers::Workers(const Scoreboard& board, std::string socket, const Options& options)
    : board_(board), socket_(std::move(socket)), options_(options), random_(options.seed) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (unsigned range = 0; range < kRanges; ++range) {
    const bool python = range >= kRanges - kPythonRanges && !options.python.empty();
    workers_.push_back({.role = python ? Role::kPythonProducer : Role::kProducer, .range = range});
  }
  for (int i = 0; i < 3; ++i) workers_.push_back({.role = Role::kConsumer});
  for (int i = 0; i < 2; ++i) workers_.push_back({.role = Role::kForker});
  static_assert(kRanges + 5 < kMaxWorkers);
}

Workers::~Workers() {
  for (const Process& process : workers_) {
    if (process.pid > 0) ::kill(-process.pid, SIGKILL);
  }
  for (const pid_t group : orphaned_groups_) ::kill(-group, SIGKILL);
}

void Workers::start_all() {
  for (std::size_t i = 0; i < workers_.size(); ++i) start(i);
}

void Workers::start(std::size_t worker) {
  Process& process = workers_[worker];
  const std::uint64_t seed = random_.seed();
  int crash_count = 0;
  process.crash_point.clear();
  if (process.role != Role::kPythonProducer && options_.kills_per_second > 0 && random_.one_in(2)) {
    const CrashPoint& point = draw_point(process.role, random_);
    process.crash_point = point.name;
    crash_count = static_cast<int>(1 + random_.below(point.max_count));
  }
  process.was_killed = process.is_stopped = false;
  process.moved = Clock::now();
  std::fflush(nullptr);
  process.pid = ::fork();
  if (process.pid < 0) throw std::runtime_error("no worker can be forked");
  if (process.pid == 0) live(worker, seed, crash_count);
  ::setpgid(process.pid, process.pid);
}

void Workers::live(std::size_t worker, std::uint64_t seed, int crash_count) const {
  const Process& process = workers_[worker];
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = 0;
  try {
    const Task task{board_, socket_, static_cast<unsigned>(worker), seed};
    if (crash_count > 0) os::arm_crash_point(process.crash_point, crash_count);
    switch (process.role) {
      case Role::kProducer: produce(task, process.range); break;
      case Role::kPythonProducer: exec_python(worker, seed); break;
      case Role::kConsumer: consume(task); break;
      case Role::kForker: fork_about(task); break;
    }
  } catch (const std::exception& error) {
    const std::uint64_t doing = board_->workers[worker].doing;
    board_.fault(std::string("a ") + word_of(process.role) + ", at " + kCountNames[doing] + ": " +
                 error.what());
    code = 1;
  }
  ::_exit(code);
}

void Workers::exec_python(std::size_t worker, std::uint64_t seed) const {
  ::fcntl(board_.fd(), F_SETFD, 0);  // it inherits the scoreboard
  const std::string range = std::to_string(workers_[worker].range), row = std::to_string(worker),
                    seed_text = std::to_string(seed), layout = board_.layout();
  ::execl(options_.python.c_str(), options_.python.c_str(), options_.python_worker.c_str(), socket_.c_str(),
          range.c_str(), row.c_str(), seed_text.c_str(), layout.c_str(), nullptr);
  throw std::runtime_error("cannot run " + options_.python);
}

void Workers::look_after() {
  for (Process& process : workers_) {
    if (process.is_stopped && Clock::now() >= process.goes_on) let_go_on(process);
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].pid != -1) reap(workers_[i].pid);
  }
  std::erase_if(orphaned_groups_, [this](pid_t group) {
    reap(group);
    return ::kill(-group, 0) != 0 && errno == ESRCH;
  });
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].pid != -1) {
      watch(i);
    } else if (!ending_) {
      start(i);
    }
  }
}

// A worker and its descendants are a group; those whose parent is gone are left to this process.
void Workers::reap(pid_t group) {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-group, &status, WNOHANG)) > 0;) {
    const auto worker = std::ranges::find(workers_, pid, &Process::pid);
    if (worker != workers_.end()) {
      ended(static_cast<std::size_t>(worker - workers_.begin()), status);
    } else if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0) {
      board_.fault("a forked process ended by status " + std::to_string(status));
    } else if (WIFSIGNALED(status)) {
      ++kills_["killed in a fork"];
    }
  }
}

void Workers::ended(std::size_t worker, int status) {
  Process& process = workers_[worker];
  const std::string who = word_of(process.role);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && process.was_killed) {
    ++kills_["killed: " + who];
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !process.crash_point.empty()) {
    ++kills_["died at " + process.crash_point];
  } else if (WIFSIGNALED(status)) {
    board_.fault("a " + who + " died of signal " + std::to_string(WTERMSIG(status)) + ", at " +
                 kCountNames[board_->workers[worker].doing]);
  } else if (WEXITSTATUS(status) != 0) {
    // In C++ it has said why; in Python, on its standard error.
    board_.fault("a " + who + " ended by itself, code " + std::to_string(WEXITSTATUS(status)));
  } else if (!board_.stopped()) {
    board_.fault("a " + who + " ended before it was told to");
  }
  // Its descendants go on without it, if it was stopped with them.
  if (::kill(-process.pid, SIGCONT) == 0) orphaned_groups_.push_back(process.pid);
  process.pid = -1;
}

void Workers::watch(std::size_t worker) {
  Process& process = workers_[worker];
  const std::uint64_t progress = board_->workers[worker].progress;
  if (progress != process.progress || process.is_stopped) {
    process.progress = progress;
    process.moved = Clock::now();
  } else if (Clock::now() - process.moved > kStuckAfter && !process.was_killed) {
    board_.fault(std::string("a ") + word_of(process.role) + " hangs, at " +
                 kCountNames[board_->workers[worker].doing]);
    kill(worker, /*descendants_too=*/true);
  }
}

void Workers::kill(std::size_t worker, bool descendants_too) {
  Process& process = workers_[worker];
  if (process.pid == -1) return;
  process.was_killed = true;
  ::kill(descendants_too ? -process.pid : process.pid, SIGKILL);
}

void Workers::stop(std::size_t worker, std::chrono::milliseconds how_long) {
  Process& process = workers_[worker];
  if (process.pid == -1 || process.is_stopped) return;
  process.is_stopped = true;
  process.goes_on = Clock::now() + how_long;
  ::kill(-process.pid, SIGSTOP);
  ++kills_[std::string("stopped for a while: ") + word_of(process.role)];
}

void Workers::let_go_on(Process& process) {
  process.is_stopped = false;
  ::kill(-process.pid, SIGCONT);
}

bool Workers::anybody_left() {
  return !orphaned_groups_.empty() ||
         std::ranges::any_of(workers_, [](const Process& process) { return process.pid != -1; });
}

void Workers::end_all() {
  ending_ = true;
  board_->stop = 1;
  for (Process& process : workers_) {
    if (process.is_stopped) let_go_on(process);
  }
  while (anybody_left()) {
    look_after();
    ::usleep(1000);
  }
}

}  // namespace tensord::soak
