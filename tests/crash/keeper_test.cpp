// What `tensord --keep` does beside keeping: it ends when it should, it starts what is installed, and it
// listens to nobody but its daemon.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "client/locate.hpp"
#include "daemon_process.hpp"
#include "kept_store.hpp"
#include "os/unique_fd.hpp"
#include "values.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::holds;
using tensord::test::KeptStore;

namespace fs = std::filesystem;

namespace {

const std::vector<float> kValues{1, 2, 3, 4};

// $TENSORD_DAEMON names a copy of the daemon that is the test's to replace, while this lives.
class InstalledDaemon {
 public:
  InstalledDaemon() {
    directory_ = fs::temp_directory_path() / ("tensord-installed-" + std::to_string(::getpid()));
    fs::create_directory(directory_);
    program_ = directory_ / "tensord";
    original_ = std::getenv("TENSORD_DAEMON");
    install(original_);
    ::setenv("TENSORD_DAEMON", program_.c_str(), 1);
  }
  InstalledDaemon(const InstalledDaemon&) = delete;
  InstalledDaemon& operator=(const InstalledDaemon&) = delete;
  ~InstalledDaemon() {
    ::setenv("TENSORD_DAEMON", original_.c_str(), 1);
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }
  // As a package manager does it: the new file takes the old one's name.
  void install(const fs::path& program) const {
    fs::copy_file(program, directory_ / "new", fs::copy_options::overwrite_existing);
    fs::rename(directory_ / "new", program_);
  }
  void install_one_that_fails() const {
    std::ofstream(directory_ / "failing") << "#!/bin/sh\nexit 1\n";
    ::chmod((directory_ / "failing").c_str(), 0755);
    install(directory_ / "failing");
  }
  [[nodiscard]] const fs::path& original() const { return original_; }

 private:
  fs::path directory_, program_, original_;
};

bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("a restart that was asked for is an upgrade: another process, the same store", "[crash][keeper]") {
  const KeptStore kept;
  const Store store = kept.connect();
  const View view = store.put<float>("a/b", kValues);
  const Store other = kept.connect();
  const pid_t before = KeptStore::daemon_pid(store);
  store.restart_daemon();
  CHECK(KeptStore::daemon_pid(other) != before);
  CHECK_FALSE(exists(before));
  CHECK(holds(other.attach("a/b"), kValues));
  CHECK(holds(view, kValues));
  CHECK(other.stats().connections == 2);
  CHECK(other.stats().kept_by == KeptBy::kKeeper);
}

TEST_CASE("a daemon that nobody keeps says so when it is to restart, and goes on", "[crash][keeper]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/b", kValues);
  CHECK_THROWS_AS(store.restart_daemon(), InvalidArgumentError);
  CHECK(holds(store.attach("a/b"), kValues));
}

TEST_CASE("a new version that does not start loses nothing, and the one after it has all",
          "[crash][keeper]") {
  const InstalledDaemon installed;
  const KeptStore kept;
  const Store store = kept.connect();
  const View view = store.put<float>("a/b", kValues);
  installed.install_one_that_fails();
  KeptStore::kill_daemon(store);
  CHECK(eventually(
      [&] { return kept.log().find("ended with code 1 and is started again") != std::string::npos; }));
  CHECK(kept.running());
  CHECK(holds(view, kValues));
  installed.install(installed.original());
  CHECK(holds(kept.connect().attach("a/b"), kValues));
  store.put<float>("a/c", kValues);
}

TEST_CASE("when a kept store is stopped, the keeper ends with it, and the next one is empty",
          "[crash][keeper]") {
  const KeptStore kept;
  {
    const Store store = kept.connect();
    const pid_t daemon = KeptStore::daemon_pid(store);
    const View view = store.put<float>("a/b", kValues);
    store.shutdown();
    CHECK(eventually([&] { return !exists(daemon) && !kept.running(); }));
    CHECK_FALSE(fs::exists(kept.socket()));
    CHECK(holds(view, kValues));
    CHECK_THROWS_AS(store.put<float>("a/c", kValues), ConnectionLostError);
  }
}

TEST_CASE("a keeper that is told to end stops its daemon first", "[crash][keeper]") {
  const int signal = GENERATE(SIGTERM, SIGINT, SIGHUP);
  const KeptStore kept;
  const Store store = kept.connect();
  const pid_t daemon = KeptStore::daemon_pid(store);
  REQUIRE(::kill(kept.keeper_pid(), signal) == 0);
  CHECK(eventually([&] { return !kept.running(); }));
  CHECK_FALSE(exists(daemon));
  CHECK_FALSE(fs::exists(kept.socket()));
}

TEST_CASE("a daemon whose keeper was killed serves on, and nobody takes its place", "[crash][keeper]") {
  const KeptStore kept;
  const Store store = kept.connect();
  const pid_t daemon = KeptStore::daemon_pid(store);
  REQUIRE(::kill(kept.keeper_pid(), SIGKILL) == 0);
  // Whatever becomes of this test, the daemon does not outlive it.
  struct Ender {
    pid_t pid;
    ~Ender() {
      if (exists(pid)) ::kill(pid, SIGTERM);
    }
  } const ender{daemon};
  REQUIRE(eventually([&] { return !kept.running(); }));
  store.put<float>("a/b", kValues);
  CHECK(holds(store.attach("a/b"), kValues));
  const int status = tensord::test::in_child([&] {
    const char* const program = std::getenv("TENSORD_DAEMON");
    ::freopen("/dev/null", "w", stderr);
    ::execl(program, program, "--keep", "--socket", kept.socket().c_str(), nullptr);
    return 0;
  });
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(KeptStore::daemon_pid(store) == daemon);
  store.shutdown();
  CHECK(eventually([&] { return !exists(daemon); }));
}

TEST_CASE("a daemon that hangs is killed by its keeper, and nothing is lost", "[crash][keeper]") {
  const KeptStore kept({"--watchdog", "1"});
  const Store store = kept.connect();
  store.put<float>("a/b", kValues);
  const pid_t daemon = KeptStore::daemon_pid(store);
  REQUIRE(::kill(daemon, SIGSTOP) == 0);
  CHECK(holds(kept.connect().attach("a/b"), kValues));
  CHECK(KeptStore::daemon_pid(store) != daemon);
  CHECK(kept.log().find("no sign of life for 1 s") != std::string::npos);
}

TEST_CASE("a daemon that has nothing to do is no daemon that hangs", "[crash][keeper]") {
  const KeptStore kept({"--watchdog", "1"});
  const Store store = kept.connect();
  const pid_t daemon = KeptStore::daemon_pid(store);
  ::sleep(3);
  CHECK(KeptStore::daemon_pid(store) == daemon);
}

TEST_CASE("a keeper takes no orders from strangers", "[crash][keeper]") {
  const KeptStore kept;
  const Store store = kept.connect();
  store.put<float>("a/b", kValues);
  const std::string environment =
      text_of("/proc/" + std::to_string(KeptStore::daemon_pid(store)) + "/environ");
  const auto at = environment.find("NOTIFY_SOCKET=@");
  if (at == std::string::npos) return;  // another user's daemon does not show its environment
  const std::string name = environment.c_str() + at + std::strlen("NOTIFY_SOCKET=@");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, name.size());
  const os::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const std::string& order : {std::string("FDSTOREREMOVE=1\nFDNAME=book"), std::string("READY=1"),
                                   std::string("FDSTORE=1\nFDNAME=catalog"), std::string(5000, 'x')}) {
    REQUIRE(::sendto(socket.get(), order.data(), order.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) >= 0);
  }
  KeptStore::kill_daemon(store);
  CHECK(holds(store.attach("a/b"), kValues));
  CHECK(holds(kept.connect().attach("a/b"), kValues));
}

TEST_CASE("a store that was started in the background is kept, and all its daemons log to one file",
          "[crash][keeper]") {
  const DaemonProcess unused;  // for a directory that goes away
  const std::string socket = unused.directory() / "own.sock";
  start_daemon(socket);
  const Store store = Store::connect({socket, false});
  store.put<float>("a/b", kValues);
  KeptStore::kill_daemon(store);
  CHECK(holds(Store::connect({socket, false}).attach("a/b"), kValues));
  CHECK(eventually(
      [&] { return text_of(socket + ".log").find("took over a store of 1 tensors") != std::string::npos; }));
  CHECK(text_of(socket + ".log").find("was killed by signal 9") != std::string::npos);
  store.shutdown();
}

TEST_CASE("a daemon that does not get so far as to serve is no reason to keep on trying", "[crash][keeper]") {
  const DaemonProcess unused;
  const int status = tensord::test::in_child([&] {
    const char* const program = std::getenv("TENSORD_DAEMON");
    ::freopen("/dev/null", "w", stderr);
    // No file may be as large as a catalog.
    const rlimit little{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &little);
    const std::string socket = unused.directory() / "none.sock";
    ::execl(program, program, "--keep", "--socket", socket.c_str(), nullptr);
    return 0;
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
}
