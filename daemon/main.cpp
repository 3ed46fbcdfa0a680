// tensord: the daemon. This file only wires.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <tensord/version.hpp>

#include "background.hpp"
#include "human.hpp"
#include "listener.hpp"
#include "log.hpp"
#include "options.hpp"
#include "server.hpp"
#include "service_manager.hpp"

namespace {

namespace daemon = tensord::daemon;

// One descriptor a connection and one a segment: the soft limit of 1024 is for programs that select().
void allow_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void serve(daemon::Listener listener, const daemon::Options& options,
           std::optional<daemon::Background> background) {
  const std::string socket = listener.path();
  daemon::Server server(std::move(listener), options);
  daemon::notify_service_manager("READY=1\nSTATUS=Serving " + socket);
  if (background) background->report_ready(socket + ".log");
  daemon::log::info("tensord " + std::string(tensord::kVersion) + " serves " + socket + ": at most " +
                    tensord::human_bytes(options.max_bytes) + " in " + std::to_string(options.max_tensors) +
                    " tensors");
  server.run();
  daemon::notify_service_manager("STOPPING=1");
  daemon::log::info("stopped: the store and its tensors are gone, views that clients hold stay readable");
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = EXIT_SUCCESS;
  const std::optional<daemon::Options> options = daemon::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  daemon::log::set_level(options->log_level);
  try {
    std::optional<daemon::Background> background;
    if (options->background) background = daemon::Background::enter();
    // Processes of the same user could take descriptors out of /proc/<pid>/fd otherwise.
    ::prctl(PR_SET_DUMPABLE, 0);
    allow_all_descriptors();

    std::optional<daemon::Listener> listener = daemon::Listener::from_service_manager();
    if (!listener) listener = daemon::Listener::bind(options->socket);
    if (!listener) {
      if (!background) {
        daemon::log::error("another tensord serves " + options->socket + " already");
        return EXIT_FAILURE;
      }
      // What --background promises is a daemon that serves, and there is one. Its log is not ours.
      background->report_ready("/dev/null");
      return EXIT_SUCCESS;
    }
    serve(std::move(*listener), *options, std::move(background));
  } catch (const std::exception& error) {
    daemon::log::error(error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
