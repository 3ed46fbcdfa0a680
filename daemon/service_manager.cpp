#include "service_manager.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "log.hpp"
#include "os/socket.hpp"

namespace tensord::daemon {
namespace {

// A manager reads at once. One that does not for so long is stopped, or worse: the daemon goes on without it.
constexpr timeval kSendTimeout{5, 0};

// The variable as a number; 0 if it is none.
std::uint64_t number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

std::optional<sockaddr_un> address_of(std::string_view path, socklen_t& size) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  return address;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return manager;
  socklen_t size = 0;
  const auto address = address_of(path, size);
  manager.socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!address || ::connect(manager.socket_.get(), reinterpret_cast<const sockaddr*>(&*address), size) != 0) {
    log::warning("the service manager's socket (NOTIFY_SOCKET) cannot be reached: " +
                 std::generic_category().message(address ? errno : ENAMETOOLONG));
    manager.socket_.reset();
    return manager;
  }
  ::setsockopt(manager.socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  manager.max_kept_ = number_in("FDSTORE");
  manager.is_keeper_ = number_in(kKeeperVariable) != 0;
  const bool watched = std::getenv("WATCHDOG_PID") == nullptr ||
                       number_in("WATCHDOG_PID") == static_cast<std::uint64_t>(::getpid());
  if (const std::uint64_t interval_us = number_in("WATCHDOG_USEC"); interval_us > 0 && watched) {
    // Twice in each: one may come late.
    manager.watchdog_ = std::chrono::milliseconds(interval_us / 1000 / 2 + 1);
  }
  return manager;
}

KeptBy ServiceManager::kept_by() const {
  if (!keeps()) return KeptBy::kNobody;
  return is_keeper_ ? KeptBy::kKeeper : KeptBy::kServiceManager;
}

void ServiceManager::notify(std::string_view lines) { send(lines); }

bool ServiceManager::send(std::string_view lines, std::span<const int> fds) {
  if (!socket_) return true;
  int code = EAGAIN;
  try {
    if (os::send_message(socket_.get(), std::as_bytes(std::span(lines)), fds)) return true;
  } catch (const std::system_error& error) {
    code = error.code().value();
  }
  if (code == ECONNREFUSED) {
    log::error("the service manager is gone: from now on nobody keeps this store when its daemon dies");
    socket_.reset();
    max_kept_ = 0;
    return false;
  }
  log::error("the service manager cannot be told '" + std::string(lines.substr(0, lines.find('\n'))) +
             "': " + std::generic_category().message(code));
  return false;
}

void ServiceManager::count(const std::string& name, std::size_t fds) {
  kept_by_name_[name] += fds;
  kept_ += fds;
  names_bytes_ += fds * (name.size() + 1);
}

Result<Done> ServiceManager::keep(const std::string& name, std::span<const int> fds) {
  if (!keeps()) return Done{};
  const std::size_t names_bytes = names_bytes_ + fds.size() * (name.size() + 1);
  if (kept_ + fds.size() > max_kept_ || names_bytes > kMaxNamesBytes) {
    return Failure{Errc::kLimitReached,
                   "the service manager keeps " + std::to_string(kept_) +
                       " descriptors for this daemon and can keep no more (FileDescriptorStoreMax= is " +
                       std::to_string(max_kept_) + "): close connections, or delete large tensors"};
  }
  // FDPOLL=0: that a client has hung up is for the next daemon to find out, who then knows whose that was.
  if (!send("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, fds)) {
    if (!keeps()) return Done{};
    return Failure{Errc::kInternal,
                   "the service manager does not take a descriptor to keep: see the daemon's log"};
  }
  count(name, fds.size());
  return Done{};
}

void ServiceManager::let_go(const std::string& name) {
  const auto kept = kept_by_name_.find(name);
  if (kept == kept_by_name_.end() || !send("FDSTOREREMOVE=1\nFDNAME=" + name)) return;
  kept_ -= kept->second;
  names_bytes_ -= kept->second * (name.size() + 1);
  kept_by_name_.erase(kept);
}

}  // namespace tensord::daemon
