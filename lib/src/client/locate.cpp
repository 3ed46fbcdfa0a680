// Finding a daemon, and starting one where there is none.
//
// Starting is left to the daemon program itself: `tensord --background` returns once its socket is
// served, by itself or by another daemon that was faster (it takes a lock first, daemon/listener.cpp).
// So two starters at once need no arrangement here.
#include "client/locate.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/interrupt.hpp"
#include "os/socket.hpp"

extern char** environ;

namespace tensord {
namespace client {
namespace {

constexpr const char* kSystemSocket = "/run/tensord/tensord.sock";

// In /tmp, another user could be faster than we are.
os::UniqueFd dial_own(const std::string& socket) {
  os::UniqueFd connected = dial(socket);
  if (!connected) return connected;
  const unsigned server = os::peer_credentials(connected.get()).uid;
  if (server != ::geteuid() && server != 0) {
    throw ConnectionLostError("the socket " + socket + " is served by uid " + std::to_string(server) +
                              ", who is neither you nor root: name it in TENSORD_SOCKET if you trust it");
  }
  return connected;
}

std::mutex& daemon_path_mutex() {
  static auto& mutex = *new std::mutex;
  return mutex;
}
std::string& daemon_path_setting() {
  static auto& path = *new std::string;
  return path;
}

std::string daemon_path() {
  if (const char* path = std::getenv("TENSORD_DAEMON"); path != nullptr && *path != '\0') return path;
  const std::lock_guard lock(daemon_path_mutex());
  return daemon_path_setting().empty() ? "tensord" : daemon_path_setting();
}

}  // namespace

os::UniqueFd dial(const std::string& path) {
  try {
    return os::connect_seqpacket(path);
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    if (code == ENOENT || code == ECONNREFUSED) return {};
    if (code == EPROTOTYPE) {
      throw ConnectionLostError(path +
                                " is not a tensord socket (it is a Unix socket of another type): name "
                                "another one in TENSORD_SOCKET");
    }
    throw ConnectionLostError("cannot connect to " + path + ": " + error.code().message() +
                              " (`tensorctl doctor` looks at sockets)");
  }
}

Place locate(const std::string& asked_for) {
  if (!asked_for.empty()) return {asked_for, dial(asked_for)};
  if (const char* named = std::getenv("TENSORD_SOCKET"); named != nullptr && *named != '\0') {
    return {named, dial(named)};
  }
  try {
    if (os::UniqueFd connected = dial(kSystemSocket)) return {kSystemSocket, std::move(connected)};
  } catch (const ConnectionLostError&) {
    // A system daemon that is not for this user: he has his own.
  }
  std::string own = user_socket_path();
  os::UniqueFd connected = dial_own(own);
  return {std::move(own), std::move(connected)};
}

}  // namespace client

std::vector<std::string> default_socket_paths() { return {client::kSystemSocket, user_socket_path()}; }

std::string running_socket_path() { return client::locate({}).socket; }

std::string user_socket_path() {
  if (const char* named = std::getenv("TENSORD_SOCKET"); named != nullptr && *named != '\0') return named;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/tensord/tensord.sock";
  return "/tmp/tensord-" + std::to_string(::geteuid()) + "/tensord.sock";
}

void set_daemon_path(std::string path) {
  const std::lock_guard lock(client::daemon_path_mutex());
  client::daemon_path_setting() = std::move(path);
}

void start_daemon(const std::string& socket) {
  const std::string program = client::daemon_path();
  std::vector<std::string> words{program, "--keep", "--background", "--socket", socket};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  // Nothing of this process may leak into a daemon that outlives it: CLOEXEC holds for descriptors,
  // and a blocked or ignored signal of ours must not be one of the daemon's.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, program.c_str(), nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    throw ConnectionLostError("no tensord daemon listens at " + socket + ", and '" + program +
                              "' cannot be started (" + std::generic_category().message(error) +
                              "): install it, or name it in TENSORD_DAEMON");
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno == EINTR) {
      client::check_interrupt();
      continue;
    }
    return;  // SIGCHLD is ignored in this process: connecting will show whether it worked
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw ConnectionLostError("'" + program + " --keep --background --socket " + socket +
                              "' failed to start a daemon: its message is on standard error and in " +
                              socket + ".log");
  }
}

}  // namespace tensord
