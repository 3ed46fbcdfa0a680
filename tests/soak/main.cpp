// The soak test: producers, consumers and forkers work on one store, killers kill them at any moment, and it
// is compared with a model all the time, and at the end to the last byte. This process only starts, kills and
// counts. It has one thread, and no connection while the others work.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "daemon_killer.hpp"
#include "kept_store.hpp"
#include "killers.hpp"
#include "options.hpp"
#include "reckoning.hpp"
#include "report.hpp"
#include "workers.hpp"

namespace tensord::soak {
namespace {

// Little enough that puts are refused now and then, and memory goes back to the system and comes again.
constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kKeepWarmBytes = std::uint64_t{16} << 20;

// Whether a program of Python can connect to this store.
bool python_works(const Options& options, const std::string& socket) {
  const pid_t child = ::fork();
  if (child == 0) {
    // Why not does not matter.
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    ::execl(options.python.c_str(), options.python.c_str(), "-c",
            "import sys, numpy, tensord; tensord.connect(sys.argv[1], start=False).stats()", socket.c_str(),
            nullptr);
    ::_exit(127);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status == 0;
}

int soak(Options options) {
  // Who started us may have left descriptors open; the daemon is to have its own only.
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  const Scoreboard board;
  const test::KeptStore store(
      {"--max-bytes", std::to_string(kMaxBytes), "--keep-warm", std::to_string(kKeepWarmBytes)});
  std::printf("soak: %.0f s, seed %llu\n", options.seconds, static_cast<unsigned long long>(options.seed));
  if (!options.python.empty() && !python_works(options, store.socket())) {
    std::printf("no workers in Python: %s has no tensord that can use this store\n", options.python.c_str());
    options.python.clear();
  }
  const auto at_rest = figures_at_rest(store);

  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options.seconds));
  Workers workers(board, store.socket(), options);
  Killers killers(workers, options.kills_per_second, options.seed + 1);
  DaemonKiller daemon_killer(store, options.daemon_kills_per_minute, options.seed + 2);
  workers.start_all();
  while (Clock::now() < end && store.running() && board->faults < kMaxFaults) {
    killers.look_around();
    daemon_killer.look_around();
    workers.look_after();
    ::usleep(1000);
  }
  daemon_killer.end();
  workers.end_all();

  Reckoning reckoning;
  if (store.running()) {
    reckoning = reckon(board, store, kKeepWarmBytes, at_rest);
  } else {
    board.fault("the keeper ended, and the store with it");
  }
  Workers::Kills kills = workers.kills();
  kills.insert(daemon_killer.kills().begin(), daemon_killer.kills().end());
  print_report(board, options, kills, reckoning);
  if (board->faults == 0) return 0;
  std::printf("\nthe daemons' log:\n%s\n", store.log().c_str());
  return 1;
}

}  // namespace
}  // namespace tensord::soak

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = tensord::soak::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  try {
    return tensord::soak::soak(*options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "soak: %s\n", error.what());
    return 2;
  }
}
