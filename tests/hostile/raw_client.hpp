// RawClient: a client that speaks the protocol by hand, and so can say whatever it likes. It has said hello,
// and maps its ledger and its ring for writing.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include "daemon_process.hpp"
#include "hello.hpp"
#include "os/bell.hpp"
#include "os/memfd.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"
#include "shm/ledger.hpp"
#include "shm/ring.hpp"

namespace tensord::test {

class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(os::connect_seqpacket(path)) {
    send(make_hello());
    os::Received received = os::receive_message(socket_.get(), buffer_, 8);
    protocol::HelloReply reply;
    if (received.size_bytes != sizeof reply || received.fds.size() != 3)
      throw std::runtime_error("not welcome");
    std::memcpy(&reply, buffer_.data(), sizeof reply);
    slot_count_ = reply.slot_count;
    catalog_ = os::Memfd::adopt_sealed(std::move(received.fds[0]));
    ledger_ = os::Memfd::adopt_sealed(std::move(received.fds[1]));
    bell_ = std::move(received.fds[2]);
    region_ = boost::interprocess::mapped_region(ledger_, boost::interprocess::read_write);
  }

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] const os::Memfd& catalog() const { return catalog_; }
  [[nodiscard]] const os::Memfd& ledger() const { return ledger_; }
  [[nodiscard]] std::span<std::byte> ledger_bytes() const {
    return {static_cast<std::byte*>(region_.get_address()), region_.get_size()};
  }
  [[nodiscard]] shm::RingMemory& ring() const { return shm::ring_of(ledger_bytes(), slot_count_); }

  [[nodiscard]] int bell() const { return bell_.get(); }
  void ring_bell() const { os::ring_bell(bell_.get()); }
  template <class T>
  bool send(const T& message, std::span<const int> fds = {}) {
    return os::send_message(socket_.get(), protocol::bytes_of(message), fds);
  }
  // False: it does not fit, or the daemon hung up.
  bool try_send(std::span<const std::byte> message) {
    return os::send_message(socket_.get(), message, {}, /*block=*/false);
  }
  template <class Reply, class Request>
  Reply ask(const Request& request, std::vector<os::UniqueFd>* fds = nullptr) {
    Reply reply{};
    send(request);
    os::Received received = os::receive_message(socket_.get(), buffer_, 8);
    if (received.size_bytes != sizeof reply)
      throw std::runtime_error("another reply than that was asked for");
    std::memcpy(&reply, buffer_.data(), sizeof reply);
    if (fds != nullptr) *fds = std::move(received.fds);
    return reply;
  }
  // Has the segment of a tensor granted, so that pins on what lies in it count.
  std::vector<os::UniqueFd> find(const std::string& name, protocol::Access access = protocol::Access::kRead) {
    protocol::Find find;
    find.header = {protocol::Find::kType, 2};
    find.name.assign(name);
    find.access = access;
    std::vector<os::UniqueFd> fds;
    ask<protocol::FindReply>(find, &fds);
    return fds;
  }
  // Reads until the daemon has hung up.
  bool is_disconnected() {
    while (os::receive_message(socket_.get(), buffer_, 8).size_bytes != 0) {
    }
    return true;
  }

 private:
  os::UniqueFd socket_;
  std::uint32_t slot_count_ = 0;
  os::Memfd catalog_;
  os::Memfd ledger_;
  os::UniqueFd bell_;
  boost::interprocess::mapped_region region_;
  std::array<std::byte, protocol::kMaxMessageBytes> buffer_{};
};

// Attack: a process that does its worst again and again, until the object goes; then it is killed. It counts,
// so that a test knows that there was an attack.
class Attack {
 public:
  // `act` is called over and over in the process, and anything it throws ends a turn.
  explicit Attack(const std::function<void()>& act)
      : count_(*new (::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<std::uint64_t>{0}) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (;;) {
      try {
        act();
      } catch (const std::exception&) {
        // Thrown out by the daemon: it comes again.
      }
      count_.fetch_add(1);
    }
  }
  Attack(const Attack&) = delete;
  Attack& operator=(const Attack&) = delete;
  ~Attack() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(&count_, sizeof count_);
  }
  [[nodiscard]] std::uint64_t turns() const { return count_.load(); }

 private:
  std::atomic<std::uint64_t>& count_;
  pid_t pid_ = -1;
};

}  // namespace tensord::test
