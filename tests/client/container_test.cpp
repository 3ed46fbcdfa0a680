// A container with nothing of ours in it but the socket: no --ipc=host, no --shm-size, no shared /dev/shm, no
// common process numbers. Memory goes by descriptor, so none of that is needed.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "values.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::holds;
using tensord::test::in_child;

namespace {

const std::vector<float> kOfHost{1, 2, 3, 4}, kOfContainer{5, 6, 7, 8};
constexpr int kCannot = 77;
constexpr const char* kSocketInside = "/tensord.sock";

class EmptyDirectory {
 public:
  EmptyDirectory() {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  EmptyDirectory(const EmptyDirectory&) = delete;
  EmptyDirectory& operator=(const EmptyDirectory&) = delete;
  ~EmptyDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "tensord-container-XXXXXX").string();
};

// This process's world is now an empty directory with the socket in it, and what it forks next has numbers of
// its own. False if it may not.
bool enter_container(const std::string& root, const std::string& socket) {
  constexpr int kAll = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNET;
  if (::unshare(kAll) != 0) return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mount("tmpfs", root.c_str(), "tmpfs", 0, "size=64k") != 0) return false;
  const std::string inside = root + kSocketInside;
  const int file = ::open(inside.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0 || ::close(file) != 0) return false;
  if (::mount(socket.c_str(), inside.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
  return ::chroot(root.c_str()) == 0 && ::chdir("/") == 0;
}

int in_container(const DaemonProcess& daemon, const std::function<int()>& body) {
  const EmptyDirectory root;
  const int status = in_child([&] {
    if (!enter_container(root.path(), daemon.socket())) return kCannot;
    return WEXITSTATUS(in_child([&] { return ::getpid() == 1 ? body() : 50; }));
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a container that has the socket and nothing else exchanges tensors with its host",
          "[client][container]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("host/x", kOfHost);
  View live = store.put<float>("host/live", kOfHost, {.kind = Kind::kLive});
  std::thread host([&] {
    const View theirs = store.wait("box/y", std::chrono::seconds(20));
    store.put<float>("host/answer", holds(theirs, kOfContainer) ? kOfHost : kOfContainer);
  });
  const int code = in_container(daemon, [&] {
    const Store own = Store::connect({kSocketInside, /*start=*/false});
    if (!holds(own.attach("host/x"), kOfHost)) return 1;
    own.put<float>("box/y", kOfContainer);
    if (!holds(own.wait("host/answer", std::chrono::seconds(20)), kOfHost)) return 2;
    View shared = own.attach("host/live", Mode::kReadWrite);
    auto writing = shared.writing();
    shared.as_mutable<float>()[3] = 44;
    writing.end();
    // Larger than its own file system could ever hold.
    own.put<float>("box/large", std::vector<float>(8 << 20, 1.5f));
    return 0;
  });
  if (code == kCannot) {
    store.put<float>("box/y", kOfContainer);
    host.join();
    WARN("skipped: this process may not make namespaces of its own");
    return;
  }
  host.join();
  CHECK(code == 0);
  CHECK(live.as<float>()[3] == 44);
  CHECK(live.version() == 1);
  CHECK(store.attach("box/large").as<float>()[(8 << 20) - 1] == 1.5f);
  live.reset();  // it is on the connection from before the fork
  CHECK(eventually([&] { return store.stats().connections == 1; }));
}

TEST_CASE("what a container's process was building goes when the container is killed",
          "[client][container]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  View view = store.put<float>("host/x", kOfHost);
  const int code = in_container(daemon, [&] {
    const Store own = Store::connect({kSocketInside, /*start=*/false});
    const View held = own.attach("host/x");
    const Builder half = own.build("box/half", kFloat32, std::vector<std::int64_t>{4});
    own.remove("host/x");
    // The end of its first process is the end of a container, and of all that runs in it.
    ::_exit(holds(held, kOfHost) && own.stats().building_tensors == 1 ? 0 : 1);
    return 0;
  });
  if (code == kCannot) {
    WARN("skipped: this process may not make namespaces of its own");
    return;
  }
  CHECK(code == 0);
  CHECK(holds(view, kOfHost));
  view.reset();
  CHECK(eventually([&] {
    const StoreStats stats = store.stats();
    return stats.building_tensors == 0 && stats.dying_tensors == 0 && stats.used_bytes == 0 &&
           stats.connections == 1;
  }));
}
