#include "listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "os/socket.hpp"

namespace tensord::daemon {
namespace {

// Between taking the lock and listening, a daemon makes a directory and a socket.
constexpr std::chrono::seconds kOtherDaemonTimeout{10};
constexpr std::chrono::milliseconds kRetryPause{5};

bool is_served(const std::string& path) {
  try {
    return static_cast<bool>(os::connect_seqpacket(path));
  } catch (const std::system_error&) {
    return false;
  }
}

bool listens(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

std::string reason() { return std::generic_category().message(errno); }

void make_folder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw std::runtime_error("cannot make the directory " + folder.string() + " for the socket: " + reason());
  }
  if (const std::string fault = fault_of_socket_folder(folder, ::geteuid()); !fault.empty()) {
    throw std::runtime_error("the directory " + folder.string() + " for the socket " + fault +
                             ": choose another --socket");
  }
}

}  // namespace

std::string fault_of_socket_folder(const std::filesystem::path& folder, uid_t user) {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return "is no directory";
  if (status.st_uid != user && status.st_uid != 0) return "belongs to somebody else";
  const bool others_may_replace = (status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0;
  return others_may_replace ? "may be written by everybody" : "";
}

Listener Listener::from_passed(std::vector<PassedFd>& passed) {
  const auto found = std::ranges::find_if(passed, [](const PassedFd& one) { return listens(one.fd.get()); });
  int type = 0;
  socklen_t size = sizeof type;
  if (found == passed.end() || ::getsockopt(found->fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_SEQPACKET ||
      std::ranges::count_if(passed, [](const PassedFd& one) { return listens(one.fd.get()); }) != 1) {
    throw std::runtime_error(
        "systemd passed something else than one listening socket: tensord.socket needs "
        "ListenSequentialPacket=");
  }
  Listener listener;
  listener.socket_ = std::move(found->fd);
  passed.erase(found);
  if (const auto lock = std::ranges::find(passed, kLockName, &PassedFd::name); lock != passed.end()) {
    listener.lock_ = std::move(lock->fd);
    passed.erase(lock);
  }
  const int fd = listener.fd();
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  sockaddr_un address{};
  socklen_t address_size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_size);
  listener.path_ = address.sun_path;
  return listener;
}

std::optional<Listener> Listener::bind(const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + kOtherDaemonTimeout;
  for (;;) {
    if (std::optional<Listener> listener = try_bind(path)) return listener;
    if (is_served(path)) return std::nullopt;
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("another tensord holds " + path +
                               ".lock but serves no socket: is it stopped?");
    }
    std::this_thread::sleep_for(kRetryPause);
  }
}

std::optional<Listener> Listener::try_bind(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    throw std::runtime_error("the socket path '" + path + "' is not absolute");
  }
  if (path.size() > os::max_socket_path_size()) {
    throw std::runtime_error("the socket path " + path + " has " + std::to_string(path.size()) +
                             " bytes; the kernel takes at most " +
                             std::to_string(os::max_socket_path_size()));
  }
  make_folder(std::filesystem::path(path).parent_path());

  Listener listener;
  listener.path_ = path;
  const std::string lock_path = path + ".lock";
  listener.lock_.reset(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!listener.lock_) throw std::runtime_error("cannot open " + lock_path + ": " + reason());
  if (::flock(listener.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    throw std::runtime_error("cannot lock " + lock_path + ": " + reason());
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      throw std::runtime_error(path + " exists and is no socket: move it away, or choose another --socket");
    }
    ::unlink(path.c_str());  // a dead daemon's: we hold the lock
  }
  try {
    listener.socket_ = os::listen_seqpacket(path);
  } catch (const std::system_error& error) {
    throw std::runtime_error("cannot serve " + path + ": " + error.code().message());
  }
  return listener;
}

void Listener::unlink() noexcept {
  if (lock_) ::unlink(path_.c_str());  // systemd's socket is systemd's to remove
}

}  // namespace tensord::daemon
