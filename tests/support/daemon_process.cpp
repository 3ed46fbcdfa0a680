#include "daemon_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "client/locate.hpp"

namespace tensord::test {

bool become_user(uid_t uid, gid_t gid) {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(gid, gid, gid) == 0 && ::setresuid(uid, uid, uid) == 0;
}

DaemonProcess::DaemonProcess(std::vector<std::string> arguments, std::optional<uid_t> uid) {
  const char* program = std::getenv("TENSORD_DAEMON");
  if (program == nullptr) throw std::runtime_error("TENSORD_DAEMON does not name the daemon under test");
  std::string pattern = std::filesystem::temp_directory_path() / "tensord-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  socket_ = directory_ / "tensord.sock";
  if (uid && (::chown(directory_.c_str(), *uid, *uid) != 0 || ::chmod(directory_.c_str(), 0711) != 0)) {
    throw std::runtime_error("the directory of the daemon's socket cannot be given to another user");
  }

  arguments.insert(arguments.begin(), {program, "--socket", socket_});
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const std::string log = directory_ / "log";
  pid_ = ::fork();
  if (pid_ == 0) {
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
    // Opened before the uid changes: the build may lie where only this user can go.
    const int executable = ::open(program, O_PATH | O_CLOEXEC);
    if (uid && !become_user(*uid, *uid)) ::_exit(126);
    // Also when the test itself is killed, nothing of it runs on. (Another uid would undo this.) A keeper has
    // a daemon to stop.
    const bool keeps = std::ranges::find(arguments, "--keep") != arguments.end();
    ::prctl(PR_SET_PDEATHSIG, keeps ? SIGTERM : SIGKILL);
    ::fexecve(executable, words.data(), environ);
    ::_exit(127);
  }
  const auto serves = [this] { return static_cast<bool>(client::dial(socket_)); };
  if (!eventually([&] { return serves() || !running(); }) || !running()) {
    throw std::runtime_error("the daemon did not come up: " + this->log());
  }
}

DaemonProcess::~DaemonProcess() {
  if (running()) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool DaemonProcess::running() const {
  siginfo_t info{};
  // WNOWAIT: the process stays ours to reap, so its pid cannot become somebody else's.
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

std::string DaemonProcess::log() const {
  std::ostringstream text;
  text << std::ifstream(directory_ / "log").rdbuf();
  return text.str();
}

}  // namespace tensord::test
