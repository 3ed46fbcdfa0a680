#include "keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <tuple>
#include <utility>

#include "log.hpp"
#include "os/socket.hpp"
#include "parts.hpp"
#include "service_manager.hpp"

namespace tensord::daemon {
namespace {

// After a daemon that did not become ready, the next one waits: first so long, then twice as long each time.
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{5000};
// What the daemon is told that it may have kept. It counts, so the keeper need not.
constexpr rlim_t kMaxKept = 65'536;
// The keeper's own descriptors, and the daemon's while it begins.
constexpr rlim_t kSpareFds = 64;

// A daemon that begins has each twice for a moment.
rlim_t max_kept() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 4 * kSpareFds ? std::min(kMaxKept, limit.rlim_cur / 2 - kSpareFds) : kSpareFds;
}

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Where it lies, so that another program that is put there is the one that starts next time.
std::string own_program() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) throw_errno("readlink of /proc/self/exe");
  return {path.data(), static_cast<std::size_t>(size)};
}

// A datagram socket of a name that the kernel chose, in a form for NOTIFY_SOCKET.
std::pair<os::UniqueFd, std::string> make_notify_socket() {
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int on = 1;
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family) != 0) {
    throw_errno("making the keeper's socket");
  }
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw_errno("getsockname");
  std::string name(address.sun_path, size - offsetof(sockaddr_un, sun_path));
  name.front() = '@';
  return {std::move(socket), std::move(name)};
}

sigset_t keepers_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  return set;
}

// The value of NAME in lines of NAME=value; nothing if it is not there.
std::optional<std::string_view> value_of(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    const std::string_view line = take_part(lines, '\n');
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == '=') {
      return line.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    return std::string("was killed by signal ") + std::to_string(WTERMSIG(status)) + " (" +
           ::strsignal(WTERMSIG(status)) + ")";
  }
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Keeper::Keeper(Listener listener, char** arguments, std::chrono::seconds watchdog,
               std::optional<Background> background)
    : listener_(std::move(listener)),
      arguments_(arguments),
      watchdog_(watchdog),
      program_(own_program()),
      background_(std::move(background)) {
  std::tie(notify_socket_, notify_name_) = make_notify_socket();
  const sigset_t set = keepers_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throw_errno("signalfd");
}

int Keeper::run() {
  start_daemon();
  while (!exit_code_) {
    await_something();
    // In this order: what a daemon sent before it died counts.
    take_messages();
    take_signals();
    look_after_daemon();
  }
  // First the name, so that nobody is sent to a socket that is about to close.
  listener_.unlink();
  return *exit_code_;
}

// ---- the daemon -------------------------------------------------------------------------------

void Keeper::start_daemon() {
  start_again_.reset();
  is_ready_ = false;
  last_sign_of_life_ = Clock::now();
  daemon_ = ::fork();
  if (daemon_ < 0) throw_errno("fork");
  if (daemon_ == 0) become_daemon();
}

void Keeper::become_daemon() {
  std::vector<int> fds{listener_.fd(), listener_.lock_fd()};
  std::string names = "tensord.socket:" + std::string(Listener::kLockName);
  for (const PassedFd& kept : kept_) {
    fds.push_back(kept.fd.get());
    names += ':' + kept.name;
  }
  // First out of the way of the numbers that they are to have.
  const int first_free = kFirstPassedFd + static_cast<int>(fds.size());
  for (int& fd : fds) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, first_free);
  for (std::size_t i = 0; i < fds.size(); ++i) ::dup2(fds[i], kFirstPassedFd + static_cast<int>(i));

  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  ::setenv("NOTIFY_SOCKET", notify_name_.c_str(), 1);
  ::setenv(ServiceManager::kKeeperVariable, "1", 1);
  ::setenv("FDSTORE", std::to_string(max_kept()).c_str(), 1);
  // Of 0 the daemon thinks as of none.
  ::setenv("WATCHDOG_USEC", std::to_string(std::chrono::microseconds(watchdog_).count()).c_str(), 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  // From the second one on, standard error is the log already.
  if (background_) ::setenv(kLogVariable, (listener_.path() + ".log").c_str(), 1);
  const sigset_t set = keepers_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::execv(program_.c_str(), arguments_);
  log::error("cannot start " + program_ + ": " + std::generic_category().message(errno));
  ::_exit(127);
}

void Keeper::daemon_ended(int status) {
  daemon_ = -1;
  const bool was_asked_to = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  if (is_stopping_ || was_asked_to || !was_ready_) {
    // One that never got ready has said why; and there is nothing yet that could be lost.
    exit_code_ = is_stopping_ || was_asked_to ? EXIT_SUCCESS : EXIT_FAILURE;
    return;
  }
  const bool wants_it = WIFEXITED(status) && WEXITSTATUS(status) == kRestartExitCode;
  pause_ = is_ready_ ? Clock::duration::zero()
                     : std::clamp<Clock::duration>(2 * pause_, kFirstPause, kLongestPause);
  start_again_ = Clock::now() + pause_;
  if (wants_it) return;
  log::error("the daemon " + how_it_ended(status) + " and is started again; " + std::to_string(kept_.size()) +
             " descriptors are kept for it");
}

void Keeper::look_after_daemon() {
  if (daemon_ > 0) {
    int status = 0;
    if (::waitpid(daemon_, &status, WNOHANG) == daemon_) {
      take_messages();  // it may have sent one since
      daemon_ended(status);
    } else if (watchdog_.count() > 0 && Clock::now() >= last_sign_of_life_ + watchdog_) {
      log::error("the daemon has given no sign of life for " + std::to_string(watchdog_.count()) +
                 " s and is killed");
      last_sign_of_life_ = Clock::now();
      ::kill(daemon_, SIGKILL);
    }
  }
  if (start_again_ && Clock::now() >= *start_again_) start_daemon();
}

// ---- what happens -----------------------------------------------------------------------------

std::optional<Keeper::Clock::time_point> Keeper::deadline() const {
  if (daemon_ < 0) return start_again_;
  return watchdog_.count() > 0 ? std::optional(last_sign_of_life_ + watchdog_) : std::nullopt;
}

void Keeper::await_something() {
  std::array fds{pollfd{notify_socket_.get(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0}};
  const auto until = deadline();
  int timeout_ms = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
    timeout_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }
  const auto began = Clock::now();
  ::poll(fds.data(), fds.size(), timeout_ms);
  // Who was stopped himself for so long cannot say of the daemon that it was silent.
  if (until && Clock::now() - std::max(*until, began) > std::chrono::seconds(1))
    last_sign_of_life_ = Clock::now();
}

void Keeper::take_messages() {
  for (;;) {
    std::array<std::byte, 4096> buffer;
    os::Received received = os::receive_with_sender(notify_socket_.get(), buffer, os::kMaxFdsPerMessage);
    if (received.would_block) return;
    // The socket has a name, so anybody can send to it.
    if (received.sender_pid != daemon_ || received.truncated) continue;
    take_message({reinterpret_cast<const char*>(buffer.data()), received.size_bytes},
                 std::move(received.fds));
  }
}

void Keeper::take_message(std::string_view lines, std::vector<os::UniqueFd> fds) {
  last_sign_of_life_ = Clock::now();
  const std::string name(value_of(lines, "FDNAME").value_or("stored"));
  if (value_of(lines, "FDSTOREREMOVE") == "1") {
    std::erase_if(kept_, [&](const PassedFd& kept) { return kept.name == name; });
  } else if (value_of(lines, "FDSTORE") == "1") {
    for (os::UniqueFd& fd : fds) kept_.push_back({name, std::move(fd)});
  }
  if (value_of(lines, "READY") == "1") {
    is_ready_ = true;
    was_ready_ = true;
    pause_ = {};
    if (background_) background_->report_ready(listener_.path() + ".log");
    background_.reset();
  }
}

void Keeper::take_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    is_stopping_ = true;
    if (daemon_ > 0) {
      ::kill(daemon_, SIGTERM);
    } else {
      exit_code_ = EXIT_SUCCESS;
    }
  }
}

}  // namespace tensord::daemon
