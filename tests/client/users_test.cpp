// Several users of one daemon: what a namespace's mode promises, the daemon refuses by name, and what
// the library does not even offer, the kernel refuses. Needs root, to become the others.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "hello.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"
#include "shm/catalog.hpp"
#include "users.hpp"

using namespace tensord;
using namespace tensord::protocol;
using tensord::test::as_user;
using tensord::test::DaemonProcess;
using tensord::test::kAlice;
using tensord::test::kBob;
using tensord::test::kServer;
using tensord::test::Outcome;
using tensord::test::require;
using tensord::test::User;

namespace {

// `result` is that of a system call which must fail with one of these.
void require_refused(long result, std::vector<int> errors, const std::string& what) {
  const int error = errno;
  require(result < 0, what + " is allowed");
  for (const int expected : errors) {
    if (error == expected) return;
  }
  throw std::runtime_error(what + " fails for another reason: " + std::strerror(error));
}

const std::vector<float> kValues{1, 2, 3, 4};

void check_values(const Store& store, const std::string& name) {
  const View view = store.attach(name);
  const auto values = view.as<float>();
  require(std::vector<float>(values.begin(), values.end()) == kValues, name + " holds other values");
}

// A client that speaks the protocol itself, and so gets at the descriptors that a Store keeps.
class RawClient {
 public:
  explicit RawClient(const DaemonProcess& daemon) : socket_(os::connect_seqpacket(daemon.socket())) {
    require(ask<HelloReply>(tensord::test::make_hello()) == Errc::kOk && fds.size() == 3,
            "hello is not answered");
  }

  template <class Reply, class Request>
  Errc ask(const Request& request) {
    os::send_message(socket_.get(), bytes_of(request));
    os::Received received = os::receive_message(socket_.get(), buffer_, os::kMaxFdsPerMessage);
    ReplyHeader header;
    require(received.size_bytes >= sizeof header, "the daemon hung up");
    std::memcpy(&header, buffer_.data(), sizeof header);
    require(received.size_bytes == (header.status == Errc::kOk ? sizeof(Reply) : sizeof(ErrorReply)),
            "the reply has another size");
    require(header.status == Errc::kOk || received.fds.empty(), "a refusal brings descriptors");
    fds = std::move(received.fds);
    return header.status;
  }
  Errc find(const std::string& name, Access access) {
    Find request;
    request.header = {Find::kType, 2};
    request.name.assign(name);
    request.access = access;
    const Errc status = ask<FindReply>(request);
    if (status == Errc::kOk) std::memcpy(&found, buffer_.data(), sizeof found);
    return status;
  }
  Errc grant(std::uint64_t segment, Access access) {
    return ask<GrantReply>(Grant{{Grant::kType, 3}, segment, access, 0});
  }

  std::vector<os::UniqueFd> fds;  // of the last reply
  FindReply found;                // the last one

 private:
  os::UniqueFd socket_;
  std::array<std::byte, kMaxMessageBytes> buffer_{};
};

// All the ways from a read-only descriptor of somebody else's memory to its bytes.
void require_no_way_to_write(int fd, const std::string& whose) {
  constexpr std::size_t kPageBytes = 4096;
  const auto map = [&](int protection) { return ::mmap(nullptr, kPageBytes, protection, MAP_SHARED, fd, 0); };
  require_refused(map(PROT_READ | PROT_WRITE) == MAP_FAILED ? -1 : 0, {EACCES},
                  "a writable mapping of " + whose);
  void* const page = map(PROT_READ);
  require(page != MAP_FAILED, "a readable mapping of " + whose + " is refused");
  require_refused(::mprotect(page, kPageBytes, PROT_READ | PROT_WRITE), {EACCES}, "making writable " + whose);
  require_refused(::madvise(page, kPageBytes, MADV_REMOVE), {EACCES, EINVAL}, "removing pages of " + whose);
  const os::UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  require_refused(::pwrite(memory.get(), "x", 1, reinterpret_cast<off_t>(page)), {EIO, EFAULT, EBADF},
                  "writing through /proc/self/mem to " + whose);
  ::munmap(page, kPageBytes);

  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  require_refused(::open(path.c_str(), O_RDWR | O_CLOEXEC), {EACCES}, "opening for writing again " + whose);
  require_refused(::open(path.c_str(), O_WRONLY | O_CLOEXEC), {EACCES}, "opening for writing only " + whose);
  require_refused(::fchmod(fd, 0666), {EPERM}, "changing the mode of " + whose);
  require_refused(::fchown(fd, ::getuid(), ::getgid()), {EPERM}, "taking over " + whose);
  require_refused(::pwrite(fd, "x", 1, 0), {EBADF}, "writing to " + whose);
  require_refused(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPageBytes), {EBADF},
                  "punching a hole into " + whose);
  require_refused(::ftruncate(fd, 0), {EINVAL, EPERM, EBADF}, "truncating " + whose);
  require_refused(::truncate(path.c_str(), 0), {EACCES, EPERM}, "truncating by path " + whose);
  require_refused(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), {EPERM}, "sealing " + whose);
}

}  // namespace

TEST_CASE("a namespace is private to who made it, and others are told whose it is", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({}, 0);
  const auto alice = as_user(kAlice, [&] { daemon.connect().put<float>("alice/x", kValues); });
  REQUIRE(alice.text == "");

  const auto refused = [&](const std::function<void(const Store&)>& act) {
    const Outcome outcome = as_user(kBob, [&] { act(daemon.connect()); });
    CHECK(outcome.code == Errc::kPermissionDenied);
    CHECK_THAT(outcome.text, contains_text("the namespace 'alice': it belongs to uid 60001"));
  };
  refused([](const Store& store) { (void)store.attach("alice/x"); });
  refused([](const Store& store) { store.put<float>("alice/y", kValues); });
  refused([](const Store& store) { store.put<float>("alice/x", kValues, {.replace = true}); });
  refused([](const Store& store) { store.remove("alice/x"); });
  refused([](const Store& store) { (void)store.holders("alice/x"); });

  SECTION("he makes one of his own meanwhile") {
    const auto bob = as_user(kBob, [&] {
      const Store store = daemon.connect();
      store.put<float>("bob/x", kValues);
      check_values(store, "bob/x");
      require(store.info("bob/x").owner_uid == kBob.uid, "bob/x is not bob's");
    });
    CHECK(bob.text == "");
  }
  SECTION("he knows the segment from the catalog, but gets no descriptor of it") {
    const auto bob = as_user(kBob, [&] {
      RawClient client(daemon);
      require(client.find("alice/x", Access::kNone) == Errc::kOk, "the name is not found");
      const std::uint64_t segment = client.found.segment;
      for (const Access access : {Access::kRead, Access::kWrite}) {
        require(client.grant(segment, access) == Errc::kPermissionDenied, "the segment is granted");
        require(client.find("alice/x", access) != Errc::kOk, "the segment is granted with its tensor");
      }
      require(client.grant(0, Access::kRead) == Errc::kPermissionDenied, "it is granted as the last one");
    });
    CHECK(bob.text == "");
  }
  SECTION("nothing of hers has changed, and root may see it") {
    CHECK(as_user(kAlice, [&] { check_values(daemon.connect(), "alice/x"); }).text == "");
    CHECK(as_user({0, 0}, [&] { check_values(daemon.connect(), "alice/x"); }).text == "");
    CHECK(as_user(kAlice, [&] { daemon.connect().remove("alice/x"); }).text == "");
  }
}

TEST_CASE("who holds what is told to root and the daemon's own user, of all namespaces", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({}, kServer.uid);
  Store owner = daemon.connect();  // as root, whose namespace it then is
  const View view = owner.put<float>("private/x", kValues);
  owner.remove("private/x");
  const auto dying = [&] {
    std::size_t count = 0;
    for (const Holder& holder : daemon.connect().holders()) {
      if (holder.state != HolderState::kDying) continue;
      require(holder.name == "private/x" && holder.uid == 0, "that is not root's tensor");
      ++count;
    }
    return count;
  };
  CHECK(dying() == 1);
  CHECK(as_user(kServer, [&] { require(dying() == 1, "the daemon's user sees less"); }).text == "");
  CHECK(as_user(kBob, [&] { require(dying() == 0, "bob sees more than he may"); }).text == "");
}

TEST_CASE("what others may read, the kernel keeps them from writing", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--namespace-mode", "0644"}, kServer.uid);
  const auto alice = as_user(kAlice, [&] {
    const Store store = daemon.connect();
    store.put<float>("alice/sealed", kValues);
    store.put<float>("alice/live", kValues, {.kind = Kind::kLive});
    store.attach("alice/live", Mode::kReadWrite).as_mutable<float>()[0] = kValues[0];
  });
  REQUIRE(alice.text == "");

  const auto reads = as_user(kBob, [&] {
    const Store store = daemon.connect();
    check_values(store, "alice/sealed");
    check_values(store, "alice/live");
  });
  CHECK(reads.text == "");
  for (const auto& act : std::vector<std::function<void(const Store&)>>{
           [](const Store& store) { (void)store.attach("alice/live", Mode::kReadWrite); },
           [](const Store& store) { store.put<float>("alice/more", kValues); },
           [](const Store& store) { store.remove("alice/live"); }}) {
    const Outcome writes = as_user(kBob, [&] { act(daemon.connect()); });
    CHECK(writes.code == Errc::kPermissionDenied);
    CHECK_THAT(writes.text,
               contains_text("you may not write in the namespace 'alice': it belongs to uid 60001"));
  }
  const auto goes_around_the_library = as_user(kBob, [&] {
    RawClient client(daemon);
    require_no_way_to_write(client.fds[0].get(), "the catalog");
    for (const std::string name : {"alice/sealed", "alice/live"}) {
      require(client.find(name, Access::kRead) == Errc::kOk && client.fds.size() == 1,
              name + " is not granted");
      require_no_way_to_write(client.fds[0].get(), "the segment of " + name);
      require(client.grant(client.found.segment, Access::kWrite) == Errc::kPermissionDenied,
              "writing to the segment of " + name + " is granted");
    }
  });
  CHECK(goes_around_the_library.text == "");
  const auto still_whole = as_user(kAlice, [&] {
    check_values(daemon.connect(), "alice/sealed");
    check_values(daemon.connect(), "alice/live");
  });
  CHECK(still_whole.text == "");
}

TEST_CASE("a namespace's group is the group of who made it", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({"--namespace-mode", "0640"}, kServer.uid);
  REQUIRE(as_user(kAlice, [&] { daemon.connect().put<float>("alice/x", kValues); }).text == "");
  const User colleague{kBob.uid, kAlice.gid};
  CHECK(as_user(colleague, [&] { check_values(daemon.connect(), "alice/x"); }).text == "");
  CHECK(as_user(colleague, [&] { daemon.connect().remove("alice/x"); }).code == Errc::kPermissionDenied);
  CHECK(as_user(kBob, [&] { check_values(daemon.connect(), "alice/x"); }).code == Errc::kPermissionDenied);
}

TEST_CASE("only root and the daemon's own user may stop it", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({}, kServer.uid);
  const auto stop = [&] { daemon.connect().shutdown(); };
  const Outcome alice = as_user(kAlice, stop);
  CHECK(alice.code == Errc::kPermissionDenied);
  CHECK_THAT(alice.text, contains_text("only root and the daemon's own user (uid 60003) may stop it"));
  CHECK(daemon.running());

  SECTION("root may") { CHECK(as_user({0, 0}, stop).text == ""); }
  SECTION("its own user may") { CHECK(as_user(kServer, stop).text == ""); }
  CHECK(test::eventually([&] { return !daemon.running(); }));
}

TEST_CASE("the daemon's process is closed even to processes of its own user", "[client][users]") {
  SKIP_UNLESS_ROOT();
  const DaemonProcess daemon({}, kServer.uid);
  // A process of the same user that does not protect itself: what is refused below works there.
  const pid_t careless = ::fork();
  if (careless == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!test::become_user(kServer.uid, kServer.gid)) ::_exit(1);
    ::prctl(PR_SET_DUMPABLE, 1);
    for (;;) ::pause();
  }
  const auto fds_of = [](pid_t pid) { return "/proc/" + std::to_string(pid) + "/fd"; };
  CHECK(test::eventually([&] {
    return as_user(kServer, [&] {
             require(::opendir(fds_of(careless).c_str()) != nullptr, "closed");
           }).text == "";
  }));
  ::kill(careless, SIGKILL);
  ::waitpid(careless, nullptr, 0);

  const pid_t pid = daemon.pid();
  const Outcome peer = as_user(kServer, [&] {
    require_refused(::opendir(fds_of(pid).c_str()) == nullptr ? -1 : 0, {EACCES}, "listing its descriptors");
    for (int fd = 0; fd < 16; ++fd) {
      const std::string path = fds_of(pid) + "/" + std::to_string(fd);
      require_refused(::open(path.c_str(), O_RDONLY | O_CLOEXEC), {EACCES}, "opening " + path);
    }
    const std::string memory = "/proc/" + std::to_string(pid) + "/mem";
    require_refused(::open(memory.c_str(), O_RDWR | O_CLOEXEC), {EACCES}, "opening its memory");
    const os::UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    require(static_cast<bool>(handle), "the daemon's process cannot be found");
    for (int fd = 0; fd < 16; ++fd) {
      require_refused(::syscall(SYS_pidfd_getfd, handle.get(), fd, 0), {EPERM}, "taking its descriptor");
    }
    require_refused(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr), {EPERM}, "tracing it");
  });
  CHECK(peer.text == "");
  CHECK(daemon.running());
}
