// A forker holds views and forks, and its children fork, up to kDepth deep: whoever drops first, ends first
// or becomes another program, the others see every byte of what they hold. Children outlive their parents,
// and none lives long.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "live_work.hpp"
#include "looking.hpp"
#include "roles.hpp"

namespace tensord::soak {
namespace {

constexpr int kDepth = 4;

class Forker {
 public:
  explicit Forker(const Task& task) : actor_(task), looker_(actor_) {}

  void step() {
    collect();
    generation(0);
    if (actor_.random.one_in(4)) looker_.drop_some();
    actor_.pause();
  }
  [[nodiscard]] bool stopped() const { return actor_.stopped(); }

 private:
  void collect() {
    for (int i = 0; i < 4 && !stopped(); ++i) {
      looker_.look({static_cast<unsigned>(actor_.random.below(kRanges)),
                    static_cast<unsigned>(actor_.random.below(kCells))});
    }
  }

  // One process's part. Views that it holds are its parent's, too.
  void generation(int depth) {
    for (auto children = 1 + actor_.random.below(2); children > 0 && depth < kDepth && !stopped();
         --children) {
      actor_.begin(Count::kFork);
      const std::uint64_t seed = actor_.random.seed();
      const pid_t child = ::fork();
      if (child < 0) throw std::runtime_error("fork failed");
      if (child == 0) live_as_child(depth + 1, seed);
      actor_.count(Count::kFork);
      do_something(depth);
      // Some are left to themselves.
      if (!actor_.random.one_in(4)) ::waitpid(child, nullptr, 0);
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  [[noreturn]] void live_as_child(int depth, std::uint64_t seed) {
    // Not to be taken along when only its ancestor is killed.
    int code = 0;
    try {
      actor_.random = Random(seed);
      do_something(depth);
      if (actor_.random.one_in(2)) generation(depth);
      looker_.look_at_all();
      end(depth);
    } catch (const std::exception& error) {
      actor_.board().fault(std::string("in a forked child: ") + error.what());
      code = 1;
    }
    ::_exit(code);
  }

  void do_something(int depth) {
    switch (actor_.random.below(6)) {
      case 0: looker_.drop_some(); break;
      case 1: looker_.look_at_all(); break;
      case 2: collect(); break;
      case 3: put_bound(depth); break;
      case 4: spawn(); break;
      default: looker_.look_again(); break;
    }
  }

  // A connection of its own after the fork; what it puts there goes with it.
  void put_bound(int depth) {
    actor_.begin(Count::kPutBound);
    const std::string name = "forked/" + std::to_string(::getpid()) + "/" + std::to_string(depth);
    try {
      const std::vector<std::uint64_t> words(64 + actor_.random.below(1000), 7);
      const View view =
          actor_.store.put<std::uint64_t>(name, words, {.replace = true, .lifetime = Lifetime::kClient});
      if (view.as<std::uint64_t>().back() != 7)
        actor_.board().fault("wrong bytes in " + name, view.size_bytes());
      actor_.count(Count::kPutBound);
    } catch (const OutOfSpaceError&) {
      actor_.count(Count::kOutOfSpace);
    }
  }

  void spawn() {
    actor_.begin(Count::kSpawn);
    std::string program = "/bin/sleep", time = "0.05";
    char* const arguments[] = {program.data(), time.data(), nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0) return;
    if (actor_.random.one_in(2)) ::waitpid(child, nullptr, 0);
    actor_.count(Count::kSpawn);
  }

  void end(int) {
    switch (actor_.random.below(5)) {
      case 0: ::raise(SIGKILL); break;
      case 1:
        actor_.begin(Count::kExec);
        actor_.count(Count::kExec);
        ::execl("/bin/sleep", "sleep", "0.05", nullptr);
        break;
      case 2: looker_.drop_all(); break;
      default: break;
    }
  }

  Actor actor_;
  Looker looker_;
};

}  // namespace

void fork_about(const Task& task) {
  Forker forker(task);
  while (!forker.stopped()) forker.step();
}

}  // namespace tensord::soak
