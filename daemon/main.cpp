// tensord: the daemon. This file only wires.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tensord/version.hpp>

#include "background.hpp"
#include "human.hpp"
#include "inherited.hpp"
#include "keeper.hpp"
#include "listener.hpp"
#include "log.hpp"
#include "options.hpp"
#include "os/crash_point.hpp"
#include "passed_fds.hpp"
#include "server.hpp"
#include "service_manager.hpp"
#include "store_memory.hpp"

namespace {

namespace daemon = tensord::daemon;

// One descriptor a connection and one a segment: the soft limit of 1024 is for programs that select().
void allow_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// What a daemon before this one left, if it left anything that is still wanted.
std::optional<daemon::Inherited> inherit(std::vector<daemon::PassedFd> passed,
                                         daemon::ServiceManager& manager) {
  auto inherited = daemon::Inherited::from(std::move(passed), manager);
  if (!inherited || !daemon::was_ended(*inherited)) return inherited;
  daemon::Inherited::let_go(*inherited, manager);
  return std::nullopt;
}

int serve(daemon::Listener listener, const daemon::Options& options, std::vector<daemon::PassedFd> passed,
          std::optional<daemon::Background> background) {
  const std::string socket = listener.path();
  daemon::ServiceManager manager = daemon::ServiceManager::from_environment();
  daemon::Server server(std::move(listener), options, manager, inherit(std::move(passed), manager));
  daemon::log::info("tensord " + std::string(tensord::kVersion) + " serves " + socket + ": at most " +
                    tensord::human_bytes(options.max_bytes) + " in " + std::to_string(options.max_tensors) +
                    " tensors");
  if (const char* log = std::getenv(daemon::kLogVariable)) daemon::Background::log_to(log);
  manager.notify("READY=1\nSTATUS=Serving " + socket);
  if (background) background->report_ready(socket + ".log");
  const auto how = server.run();
  if (how == daemon::Service::End::kRestart) return daemon::kRestartExitCode;
  manager.notify("STOPPING=1");
  const bool may_go_on = how == daemon::Service::End::kSignal && manager.keeps();
  daemon::log::info("stopped with " + server.holdings() +
                    (may_go_on ? ": they end, unless the service manager starts another daemon for them"
                               : ": they are gone, views that clients hold stay readable"));
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = EXIT_SUCCESS;
  const std::optional<daemon::Options> options = daemon::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  daemon::log::set_level(options->log_level);
  try {
    // Processes of the same user could take descriptors out of /proc/<pid>/fd otherwise.
    ::prctl(PR_SET_DUMPABLE, 0);
    // A log that nobody reads any more is no reason to die.
    ::signal(SIGPIPE, SIG_IGN);
    allow_all_descriptors();
    tensord::os::arm_crash_point_from_environment();
    if (auto passed = daemon::take_passed_fds(); !passed.empty()) {
      // Whoever passes them keeps the store, and does not wait for us.
      daemon::Listener listener = daemon::Listener::from_passed(passed);
      return serve(std::move(listener), *options, std::move(passed), std::nullopt);
    }

    std::optional<daemon::Background> background;
    if (options->background) background = daemon::Background::enter();
    std::optional<daemon::Listener> listener = daemon::Listener::bind(options->socket);
    if (!listener) {
      if (!background) {
        daemon::log::error("another tensord serves " + options->socket + " already");
        return EXIT_FAILURE;
      }
      // What --background promises is a daemon that serves, and there is one. Its log is not ours.
      background->report_ready("/dev/null");
      return EXIT_SUCCESS;
    }
    if (options->keep)
      return daemon::Keeper(std::move(*listener), argv, std::chrono::seconds(options->watchdog_s),
                            std::move(background))
          .run();
    return serve(std::move(*listener), *options, {}, std::move(background));
  } catch (const std::exception& error) {
    daemon::log::error(error.what());
    return EXIT_FAILURE;
  }
}
