// The order is that of connect() (client/locate), told with reasons: connect() itself keeps none.
#include "sight.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "os/socket.hpp"
#include "parts.hpp"

namespace tensord::tools::doctor {
namespace {

using State = Place::State;
using Who = Place::Who;

Place look_at(const Machine& machine, std::string socket, Who who) {
  Place place{std::move(socket), who, State::kAbsent, 0, {}};
  const std::string path = machine.at(place.socket);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    // A dangling link leads nowhere, which is as good as nothing there.
    if (errno == ENOENT || errno == ENOTDIR) return place;
    place.state = errno == EACCES ? State::kForbidden : State::kFailed;
    place.reason = std::generic_category().message(errno);
    return place;
  }
  if (!S_ISSOCK(status.st_mode)) {
    place.state = State::kNoSocket;
    return place;
  }
  try {
    const os::UniqueFd connected = os::connect_seqpacket(path);
    place.state = State::kServed;
    place.server_uid = os::peer_credentials(connected.get()).uid;
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    place.state = code == ECONNREFUSED || code == ENOENT ? State::kStale
                  : code == EACCES || code == EPERM      ? State::kForbidden
                  : code == EPROTOTYPE                   ? State::kStranger
                  : code == ENAMETOOLONG                 ? State::kTooLong
                                                         : State::kFailed;
    place.reason = error.code().message();
  }
  return place;
}

std::vector<std::string> command_line(const Machine& machine, const std::string& pid) {
  const std::string text = machine.text("/proc/" + pid + "/cmdline").value_or("");
  std::vector<std::string> words;
  for (std::string_view rest = text; !rest.empty();) words.emplace_back(daemon::take_part(rest, '\0'));
  return words;
}

Daemon ask(const Machine& machine, const std::string& socket) {
  Daemon daemon;
  try {
    daemon.stats = Store::connect({machine.at(socket), /*start=*/false}).stats();
  } catch (const Error& error) {
    daemon.refusal = error.code();
    daemon.refusal_text = error.what();
    return daemon;
  }
  // The number is the daemon's own: of another pid namespace it means somebody else here, or nobody.
  const std::string pid = std::to_string(daemon.stats->daemon_pid);
  std::vector<std::string> words = command_line(machine, pid);
  if (!words.empty() && std::filesystem::path(words.front()).filename() == "tensord") {
    daemon.pid = pid;
    daemon.words = std::move(words);
  }
  return daemon;
}

// Where this user's own daemon is for processes that have, or have not, an XDG_RUNTIME_DIR.
std::vector<std::string> own_sockets() {
  const std::string uid = std::to_string(::geteuid());
  return {"/run/user/" + uid + "/tensord/tensord.sock", "/tmp/tensord-" + uid + "/tensord.sock"};
}

}  // namespace

bool Daemon::was_given(const std::string& option, const std::string& value) const {
  const auto joined = option + "=" + value;
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == joined) return true;
    if (*word == option && std::next(word) != words.end() && *std::next(word) == value) return true;
  }
  return false;
}

Sight look_around(const Machine& machine, const std::string& asked_for) {
  Sight sight;
  const char* const variable = std::getenv("TENSORD_SOCKET");
  const bool is_named = variable != nullptr && *variable != '\0';
  if (!asked_for.empty()) {
    sight.places.push_back(look_at(machine, asked_for, Who::kAsked));
  } else if (is_named) {
    sight.places.push_back(look_at(machine, variable, Who::kVariable));
  }
  const bool is_fixed = !sight.places.empty();
  const auto add = [&](const std::string& socket, Who who) {
    if (std::ranges::find(sight.places, socket, &Place::socket) != sight.places.end()) return;
    sight.places.push_back(look_at(machine, socket, who));
  };
  add(default_socket_paths().front(), Who::kSystem);
  if (!is_named) add(user_socket_path(), Who::kOwn);
  for (const std::string& socket : own_sockets()) add(socket, Who::kElsewhere);

  if (!is_fixed && sight.places.front().state != State::kServed) sight.chosen = 1;
  const Place& chosen = sight.place();
  const bool is_stranger =
      chosen.who == Who::kOwn && chosen.server_uid != ::geteuid() && chosen.server_uid != 0;
  if (chosen.state == State::kServed && !is_stranger) sight.daemon = ask(machine, chosen.socket);
  return sight;
}

}  // namespace tensord::tools::doctor
