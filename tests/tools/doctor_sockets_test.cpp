// `tensorctl doctor` and sockets: real ones, below a folder that stands for the machine's root.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "daemon_process.hpp"
#include "os/socket.hpp"
#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;
using tools::doctor::look_around;

namespace {

const std::string kUid = std::to_string(::geteuid());
const std::string kRuntime = "/run/user/" + kUid;
const std::string kOwn = kRuntime + "/tensord/tensord.sock";
const std::string kInTmp = "/tmp/tensord-" + kUid + "/tensord.sock";
constexpr const char* kSystem = "/run/tensord/tensord.sock";

// A user who has logged in, and whose environment says nothing else.
class Sockets : public Patient {
 public:
  Sockets() { std::filesystem::create_directories(machine.at(kRuntime)); }

  [[nodiscard]] os::UniqueFd serve(const std::string& path) const {
    std::filesystem::create_directories(machine.at(path).parent_path());
    return os::listen_seqpacket(machine.at(path));
  }
  void lead(const std::string& path, const std::string& to) const {
    std::filesystem::create_directories(machine.at(path).parent_path());
    std::filesystem::create_symlink(to, machine.at(path));
  }
  void leave_stale(const std::string& path) const { static_cast<void>(serve(path)); }
  void look(const std::string& asked_for = {}) { sight = look_around(machine, asked_for); }

 private:
  Variable socket_{"TENSORD_SOCKET"};
  Variable runtime_{"XDG_RUNTIME_DIR", kRuntime};
};

}  // namespace

TEST_CASE("doctor: where nobody serves, the user's own place is chosen, and that is no problem", "[doctor]") {
  Sockets patient;
  patient.look();
  CHECK(patient.sight.place().socket == kOwn);
  CHECK_FALSE(patient.sight.daemon);
  CHECK(patient.finding("socket").level == Level::kOk);
  CHECK_THAT(patient.finding("socket").found, contains_text(kOwn + " (your own): nobody serves it"));
  CHECK(patient.finding("socket-folder").level == Level::kOk);
  CHECK(patient.finding("runtime-folder").found == "XDG_RUNTIME_DIR is " + kRuntime);
  CHECK(patient.finding("other-daemons").level == Level::kOk);
}

TEST_CASE("doctor: a stale socket is told with the command that helps", "[doctor]") {
  Sockets patient;
  patient.leave_stale(kOwn);
  patient.look();
  CHECK(patient.sight.place().state == Place::State::kStale);
  CHECK(patient.finding("socket").level == Level::kAdvice);
  CHECK_THAT(patient.finding("socket").change, contains_text("`tensorctl start`"));

  patient.leave_stale(kSystem);
  patient.look();
  REQUIRE(patient.findings("socket").size() == 2);
  CHECK_THAT(patient.findings("socket")[0].found,
             contains_text("(the system's) is there, and nobody listens"));
  CHECK_THAT(patient.findings("socket")[0].change, contains_text("systemctl restart tensord.socket"));
}

TEST_CASE("doctor: a TENSORD_SOCKET that names no socket is a problem, and says who named it", "[doctor]") {
  Sockets patient;
  patient.files.write("srv/notes.txt", "no socket");
  const Variable named("TENSORD_SOCKET", "/srv/notes.txt");
  patient.look();
  CHECK(patient.finding("socket").level == Level::kProblem);
  CHECK_THAT(patient.finding("socket").found, contains_text("/srv/notes.txt (TENSORD_SOCKET) is no socket"));
  CHECK_THAT(patient.finding("socket").change, contains_text("unset TENSORD_SOCKET"));

  // What the command line says comes first.
  patient.look("/srv/absent/tensord.sock");
  CHECK(patient.sight.place().who == Place::Who::kAsked);
  CHECK(patient.finding("socket").level == Level::kOk);
}

TEST_CASE("doctor: a socket of another program, and one with too long a path, are problems", "[doctor]") {
  Sockets patient;
  std::filesystem::create_directories(patient.machine.at("/srv"));
  const os::UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, patient.machine.at("/srv/other.sock").c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(stream.get(), 1) == 0);
  patient.look("/srv/other.sock");
  CHECK(patient.finding("socket").level == Level::kProblem);
  CHECK_THAT(patient.finding("socket").found, contains_text("is a Unix socket of another program"));
}

TEST_CASE("doctor: in a folder that is not there, or that everybody may write, no daemon can serve",
          "[doctor]") {
  Sockets patient;
  patient.look("/srv/a/b/tensord.sock");
  CHECK(patient.finding("socket-folder").level == Level::kProblem);
  CHECK_THAT(patient.finding("socket-folder").change, contains_text("mkdir -p /srv/a/b"));
  std::filesystem::create_directories(patient.machine.at("/srv/a/b"));
  patient.look("/srv/a/b/tensord.sock");
  CHECK(patient.finding("socket-folder").level == Level::kOk);
  REQUIRE(::chmod(patient.machine.at("/srv/a/b").c_str(), 0777) == 0);
  CHECK(patient.finding("socket-folder").level == Level::kProblem);
  CHECK_THAT(patient.finding("socket-folder").found, contains_text("may be written by everybody"));
  REQUIRE(::chmod(patient.machine.at("/srv/a/b").c_str(), 01777) == 0);
  CHECK(patient.finding("socket-folder").level == Level::kOk);
  patient.look("tensord.sock");
  CHECK_THAT(patient.finding("socket-folder").found, contains_text("is not absolute"));
}

TEST_CASE("doctor: of two daemons it tells which one connect() takes, and why", "[doctor]") {
  Sockets patient;
  const os::UniqueFd in_tmp = patient.serve(kInTmp);
  patient.look();
  CHECK(patient.sight.place().socket == kOwn);
  CHECK(patient.finding("other-daemons").level == Level::kAdvice);
  CHECK_THAT(
      patient.finding("other-daemons").found,
      contains_text("another daemon serves " + kInTmp + " (your own, for who has another XDG_RUNTIME_DIR)") &&
          contains_text("connect() takes " + kOwn + " (your own)"));
  const os::UniqueFd system = patient.serve(kSystem);
  {
    const Variable named("TENSORD_SOCKET", "/srv/tensord.sock");
    patient.look();
    CHECK(patient.sight.place().socket == "/srv/tensord.sock");
    CHECK(patient.findings("other-daemons").size() == 2);
  }
}

TEST_CASE("doctor: the system's daemon is taken before the user's own, and asked how it is", "[doctor]") {
  const DaemonProcess of_system, of_user;
  Sockets patient;
  patient.lead(kSystem, of_system.socket());
  patient.lead(kOwn, of_user.socket());
  patient.look();
  CHECK(patient.sight.place().socket == kSystem);
  REQUIRE(patient.sight.stats() != nullptr);
  CHECK(patient.sight.stats()->daemon_pid == static_cast<std::uint32_t>(of_system.pid()));
  REQUIRE(patient.findings("socket").size() == 2);
  CHECK_THAT(patient.findings("socket")[1].found, contains_text(kOwn + " (your own) is served, by "));
  CHECK_THAT(patient.finding("other-daemons").found,
             contains_text("another daemon serves " + kOwn + " (your own); connect() takes " + kSystem));
}

TEST_CASE("doctor: an XDG_RUNTIME_DIR that is missing, or another's, is told with what to do", "[doctor]") {
  Sockets patient;
  {
    const Variable unset("XDG_RUNTIME_DIR");
    patient.look();
    CHECK(patient.sight.place().socket == kInTmp);
    CHECK(patient.finding("runtime-folder").level == Level::kAdvice);
    CHECK_THAT(patient.finding("runtime-folder").change, contains_text("export XDG_RUNTIME_DIR=" + kRuntime));
    std::filesystem::remove(patient.machine.at(kRuntime));
    CHECK(patient.finding("runtime-folder").level == Level::kOk);
  }
  const Variable gone("XDG_RUNTIME_DIR", "/run/user/99999");
  patient.look();
  CHECK(patient.finding("runtime-folder").level == Level::kProblem);
  CHECK_THAT(patient.finding("runtime-folder").found, contains_text("there is no such folder"));
  if (::geteuid() != 0) return;  // only root can give a folder away
  std::filesystem::create_directories(patient.machine.at("/run/user/99999"));
  REQUIRE(::chown(patient.machine.at("/run/user/99999").c_str(), 99999, 99999) == 0);
  patient.look();
  CHECK_THAT(patient.finding("runtime-folder").found, contains_text("belongs to uid 99999 and not to you"));
}
