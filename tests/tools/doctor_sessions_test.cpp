// `tensorctl doctor` and systemd: units, drop-ins, logins.
#include <pwd.h>

#include "patient.hpp"

using namespace tensord;
using namespace tensord::test;

namespace {

constexpr const char* kUnit = "lib/systemd/system/tensord.service";
constexpr const char* kShipped =
    "[Service]\nExecStart=/usr/bin/tensord\nFileDescriptorStoreMax=16384\n# a "
    "comment\nEnvironment=FDSTORE=16384\n";

std::string user_name() {
  const passwd* const account = ::getpwuid(::geteuid());
  return account == nullptr ? std::to_string(::geteuid()) : account->pw_name;
}

}  // namespace

TEST_CASE("doctor: RemoveIPC is said not to matter, whatever it is", "[doctor]") {
  Patient patient;
  CHECK(patient.finding("remove-ipc").level == Level::kOk);
  patient.files.write("etc/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\n");
  CHECK_THAT(patient.finding("remove-ipc").found, contains_text("does not touch tensord"));
  patient.files.write("etc/systemd/logind.conf.d/10-ipc.conf", "[Login]\nRemoveIPC=yes\n");
  CHECK_THAT(patient.finding("remove-ipc").found, contains_text("RemoveIPC=yes, which takes /dev/shm files"));
  patient.files.write("etc/systemd/logind.conf.d/20-ipc.conf", "[Login]\nRemoveIPC=no\n");
  CHECK_THAT(patient.finding("remove-ipc").found, contains_text("does not touch tensord"));
}

TEST_CASE("doctor: a store that goes with the logout is told, until the user lingers", "[doctor]") {
  Patient patient;
  patient.sight.places.front().socket = "/run/user/" + std::to_string(::geteuid()) + "/tensord/tensord.sock";
  CHECK(patient.finding("lingering").level == Level::kOk);  // no logind
  patient.files.write("run/systemd/users/0", "");
  CHECK(patient.finding("lingering").level == Level::kAdvice);
  CHECK_THAT(patient.finding("lingering").change, contains_text("loginctl enable-linger " + user_name()));
  patient.files.write("var/lib/systemd/linger/" + user_name(), "");
  CHECK(patient.finding("lingering").level == Level::kOk);
}

TEST_CASE("doctor: a drop-in that lowers one of the two numbers of kept descriptors is found", "[doctor]") {
  const Variable home("HOME", "/home/somebody");
  Patient patient;
  CHECK_THAT(patient.finding("systemd").found, contains_text("no systemd runs here"));
  patient.files.write("run/systemd/system/marker", "");
  CHECK_THAT(patient.finding("systemd").found, contains_text("no unit of tensord's is installed"));
  patient.files.write(kUnit, kShipped);
  CHECK_THAT(patient.finding("systemd").found,
             contains_text("/lib/systemd/system/tensord.service keeps 16384 descriptors"));

  patient.files.write("etc/systemd/system/tensord.service.d/override.conf",
                      "[Service]\nFileDescriptorStoreMax=512\n");
  CHECK(patient.finding("systemd").level == Level::kProblem);
  CHECK_THAT(patient.finding("systemd").found,
             contains_text("with /etc/systemd/system/tensord.service.d/override.conf has systemd keep 512 "
                           "descriptors, and tells the daemon 16384"));
  patient.files.write("etc/systemd/system/tensord.service.d/override.conf",
                      "[Service]\nFileDescriptorStoreMax=512\nEnvironment=\"FDSTORE=512\" OTHER=1\n");
  CHECK(patient.finding("systemd").level == Level::kOk);
  // Drop-ins are read by their names, wherever they lie.
  patient.files.write("run/systemd/system/tensord.service.d/zz.conf",
                      "[Service]\nFileDescriptorStoreMax=1024\n");
  CHECK(patient.finding("systemd").level == Level::kAdvice);
  CHECK_THAT(patient.finding("systemd").change, contains_text("Environment=FDSTORE=1024"));
  patient.files.write("run/systemd/system/tensord.service.d/zz.conf",
                      "[Service]\nFileDescriptorStoreMax=0\n");
  CHECK_THAT(patient.finding("systemd").found, contains_text("has no FileDescriptorStoreMax="));
}

TEST_CASE("doctor: units of the user's own are looked at, and an old systemd is told", "[doctor]") {
  const Variable home("HOME", "/home/somebody");
  Patient patient;
  patient.files.write("run/systemd/system/marker", "");
  patient.files.write(kUnit, kShipped);
  patient.files.write("home/somebody/.config/systemd/user/tensord.service",
                      "[Service]\nExecStart=/usr/bin/tensord\n");
  REQUIRE(patient.findings("systemd").size() == 2);
  CHECK(patient.findings("systemd")[1].level == Level::kProblem);

  patient.files.write("home/somebody/.config/systemd/user/tensord.service", kShipped);
  patient.machine.output_of = [](const std::vector<std::string>& words) -> std::optional<std::string> {
    REQUIRE(words == std::vector<std::string>{"systemctl", "--version"});
    return "systemd 249 (249.11-0ubuntu3)\n+PAM +AUDIT\n";
  };
  REQUIRE(patient.findings("systemd").size() == 3);
  CHECK_THAT(patient.findings("systemd")[2].found, contains_text("systemd 249 is older than 252"));
}
