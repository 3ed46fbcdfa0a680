// The promise that carries the design: once a segment is mapped, attaching by name makes no system
// call. The kernel is the judge: a process that makes any but exit is killed on the spot.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "seccomp.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::in_child;

namespace {

// Not strict mode, which allows write(): that is how the daemon is woken.
bool give_up_system_calls() {
  sock_filter only_exit[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                             BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                             BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  return tensord::test::install_seccomp_filter(only_exit);
}

// In a child: connects, attaches once, gives up system calls, and runs `then`.
template <class Then>
int without_system_calls(const DaemonProcess& daemon, Then&& then) {
  return in_child([&] {
    const Store store = Store::connect({daemon.socket(), false});
    (void)store.attach("a/7");
    (void)store.attach("live/x", Mode::kReadWrite);
    if (!give_up_system_calls()) return 1;
    const int code = then(store);
    ::syscall(SYS_exit, code);  // exit_group, which _exit() uses, is not among the allowed
    return 1;
  });
}

}  // namespace

TEST_CASE("attach, reading, copying and dropping views make no system call", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  for (int i = 0; i < 100; ++i) store.put<float>("a/" + std::to_string(i), std::vector<float>(10, float(i)));
  store.put<float>("live/x", std::vector<float>(10, 0.0f), {.kind = Kind::kLive});

  const int status = without_system_calls(daemon, [](const Store& own) {
    char name[] = "a/00";
    for (int i = 0; i < 10'000; ++i) {
      const int tensor = 10 + i % 90;
      name[2] = static_cast<char>('0' + tensor / 10), name[3] = static_cast<char>('0' + tensor % 10);
      const View view = own.attach(name);
      const View copy = view;
      if (copy.as<float>()[9] != float(tensor)) return 2;
      own.attach("live/x", Mode::kReadWrite).as_mutable<float>()[0] += 1;
    }
    return 0;
  });
  CHECK(status == 0);
  CHECK(store.attach("live/x").as<float>()[0] == 10'000);
}

TEST_CASE("the check above can fail: a question to the daemon is a system call", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/7", std::vector<float>(10));
  store.put<float>("live/x", std::vector<float>(10), {.kind = Kind::kLive});
  // One that goes by socket; while the daemon is awake, others take no system call either.
  const int status =
      without_system_calls(daemon, [](const Store& own) { return own.names().empty() ? 2 : 0; });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("neither does the first attach to the segment that somebody else used last", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", std::vector<float>(10, 1.0f));
  const int status = in_child([&] {
    const Store own = Store::connect({daemon.socket(), false});
    if (!give_up_system_calls()) return 1;
    ::syscall(SYS_exit, own.attach("a/x").as<float>()[9] == 1.0f ? 0 : 1);
    return 1;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("who connects while no segment was granted, or the last one is gone, attaches all the same",
          "[client]") {
  const DaemonProcess daemon({"--max-bytes", "64MiB"});
  const Store early = daemon.connect();
  early.put<float>("a/x", std::vector<float>(10, 1.0f));
  CHECK(daemon.connect().attach("a/x").as<float>()[0] == 1.0f);
  // A segment of almost all the space, for which the first has to go.
  early.remove("a/x");
  early.put<std::uint8_t>("a/large", std::vector<std::uint8_t>(40 << 20));
  early.remove("a/large");
  early.put<float>("b/y", std::vector<float>(10, 2.0f));
  CHECK(daemon.connect().attach("b/y").as<float>()[0] == 2.0f);
}
