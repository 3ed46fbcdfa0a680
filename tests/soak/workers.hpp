// Workers: the processes that work, one for each role and number; who dies is replaced. It knows why each of
// them died, and nobody may die of himself, or stand still.
//
// Owns     the processes, and their descendants: this process is who they are left to (a subreaper).
// Threads  one; a process that forks without end must have no others.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "options.hpp"
#include "random.hpp"
#include "scoreboard.hpp"

namespace tensord::soak {

enum class Role { kProducer, kPythonProducer, kConsumer, kForker };
[[nodiscard]] const char* word_of(Role role);

class Workers {
 public:
  Workers(const Scoreboard& board, std::string socket, const Options& options);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();  // kills who is left

  void start_all();
  // Takes note of who ended, starts others in their place, and looks for those that do not move.
  void look_after();

  [[nodiscard]] std::size_t size() const { return workers_.size(); }
  // What killers do with one of them; of a forker, with all its descendants as well if it says so.
  void kill(std::size_t worker, bool descendants_too);
  void stop(std::size_t worker, std::chrono::milliseconds how_long);
  // Tells all to end, and returns when they and their descendants are gone.
  void end_all();

  // How often which kill was survived.
  using Kills = std::map<std::string, std::uint64_t>;
  [[nodiscard]] const Kills& kills() const { return kills_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Process {
    Role role = Role::kProducer;
    unsigned range = 0;  // of a producer
    pid_t pid = -1;
    std::string crash_point{};
    bool was_killed = false;
    bool is_stopped = false;
    Clock::time_point goes_on{};  // while stopped
    std::uint64_t progress = 0;
    Clock::time_point moved{};
  };
  void start(std::size_t worker);
  [[noreturn]] void live(std::size_t worker, std::uint64_t seed, int crash_count) const;
  void exec_python(std::size_t worker, std::uint64_t seed) const;
  void reap(pid_t group);
  void ended(std::size_t worker, int status);
  void let_go_on(Process& process);
  void watch(std::size_t worker);
  [[nodiscard]] bool anybody_left();

  const Scoreboard& board_;
  const std::string socket_;
  const Options options_;
  Random random_;
  std::vector<Process> workers_;
  std::vector<pid_t> orphaned_groups_;  // of forkers that are gone; each has somebody in it
  bool ending_ = false;
  Kills kills_;
};

}  // namespace tensord::soak
