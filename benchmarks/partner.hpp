// Partner: a second process, which does one thing whenever it is told to.
//
//   Partner reader([&] {                       // in the child, once: what it connects to is its own
//     auto store = std::make_shared<Store>(daemon.connect());
//     return [store](char) { store->wait("x"); return bench::now_ns(); };
//   });
//   reader.tell('r');                          // returns when it is about to do it
//   store.put(...);
//   std::int64_t woke_at_ns = reader.answer(); // what it returned
//
// Owns     the process, which ends with the object, and with this process.
// Fails    with std::runtime_error, in tell() and answer(), once the partner has failed; it has said why.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace tensord::bench {

// One T that this process and its children share.
template <class T>
class Shared {
 public:
  Shared() {
    void* const address =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw std::runtime_error("mmap failed");
    value_ = new (address) T{};
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(value_, sizeof(T)); }
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

class Partner {
 public:
  template <class MakeActor>
  explicit Partner(MakeActor&& make_actor) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair failed");
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
      ::close(ends[0]);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      serve(ends[1], make_actor);
    }
    ::close(ends[1]);
    socket_ = ends[0];
  }
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;
  ~Partner() {
    ::close(socket_);
    kill();  // it may be waiting for something that will not come
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int socket() const { return socket_; }  // hangs up when the partner ends
  // Spins until the partner is there, which takes it no time from then on.
  void tell(char command) {
    const std::uint32_t turn = shared_->ready.load() + 1;
    if (::send(socket_, &command, 1, MSG_NOSIGNAL) != 1) throw_gone();
    while (shared_->ready.load() != turn) {
      if (shared_->failed.load()) throw_gone();
      __builtin_ia32_pause();
    }
  }
  std::int64_t answer() {
    std::int64_t value = 0;
    if (::recv(socket_, &value, sizeof value, 0) != sizeof value) throw_gone();
    return value;
  }
  std::int64_t ask(char command) {
    tell(command);
    return answer();
  }
  // SIGKILL; returns at once.
  void kill() { ::kill(pid_, SIGKILL); }

 private:
  struct Flags {
    std::atomic<std::uint32_t> ready;
    std::atomic<bool> failed;
  };

  template <class MakeActor>
  [[noreturn]] void serve(int socket, MakeActor& make_actor) {
    try {
      auto act = make_actor();
      for (char command = 0; ::recv(socket, &command, 1, 0) == 1;) {
        shared_->ready.fetch_add(1);
        const std::int64_t value = act(command);
        if (::send(socket, &value, sizeof value, MSG_NOSIGNAL) != sizeof value) break;
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the partner: %s\n", error.what());
      shared_->failed.store(true);
    }
    ::_exit(0);  // no destructors: they are the parent's, too
  }
  [[noreturn]] static void throw_gone() { throw std::runtime_error("the partner process has ended"); }

  Shared<Flags> shared_;
  pid_t pid_ = -1;
  int socket_ = -1;
};

}  // namespace tensord::bench
