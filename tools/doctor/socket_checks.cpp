#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "checks.hpp"
#include "listener.hpp"

namespace tensord::tools::doctor {
namespace {

using State = Place::State;
using Who = Place::Who;

// Why this place and no other.
std::string reason_of(const Place& place) {
  switch (place.who) {
    case Who::kAsked: return "--socket";
    case Who::kVariable: return "TENSORD_SOCKET";
    case Who::kSystem: return "the system's";
    case Who::kOwn: return "your own";
    case Who::kElsewhere: return "your own, for who has another XDG_RUNTIME_DIR";
  }
  return "?";
}

std::string user(std::uint32_t uid) {
  if (uid == ::geteuid()) return "you";
  return uid == 0 ? "root" : "uid " + std::to_string(uid);
}

// What gets the daemon of this place to serve it.
std::string start_command(const Place& place) {
  if (place.who == Who::kSystem) return "`systemctl restart tensord.socket` as root";
  if (place.who == Who::kOwn) return "`tensorctl start`";
  return "`tensorctl --socket " + place.socket + " start`";
}

// How to get rid of a wrong name.
std::string other_name(const Place& place) {
  if (place.who == Who::kAsked) return "another --socket, or none";
  if (place.who == Who::kVariable)
    return "`unset TENSORD_SOCKET`, or set it to what `tensorctl status` says elsewhere";
  return "move it away: `mv " + place.socket + " " + place.socket + ".old`";
}

Finding judge(const Place& place, const Sight& sight) {
  const std::string what = place.socket + " (" + reason_of(place) + ")";
  const bool is_chosen = &place == &sight.place();
  const Level bad = is_chosen ? Level::kProblem : Level::kAdvice;
  switch (place.state) {
    case State::kServed:
      if (place.who == Who::kOwn && place.server_uid != 0 && place.server_uid != ::geteuid()) {
        return problem(what + " is served by " + user(place.server_uid) + ", who is neither you nor root",
                       "TENSORD_SOCKET=" + place.socket +
                           " if you trust it; else a folder of your own, by XDG_RUNTIME_DIR",
                       "connect(), which refuses a stranger's daemon that nobody named");
      }
      return ok(what + " is served, by " + user(place.server_uid));
    case State::kAbsent:
      return ok(what + ": nobody serves it" + (is_chosen ? "; the first connect() starts a daemon" : ""));
    case State::kStale:
      if (place.who == Who::kSystem) {
        return advice(what + " is there, and nobody listens: connect() goes on to your own",
                      start_command(place), "the system's store for all users again");
      }
      return advice(
          what + " is there, and nobody listens: its daemon died",
          start_command(place) + ", or nothing: the next connect() replaces it",
          "a daemon that serves; what the dead one held is gone, unless `tensord --keep` or systemd kept it");
    case State::kForbidden:
      return {bad, what + " cannot be reached: " + place.reason,
              "`namei -l " + place.socket +
                  "` shows who may pass; the socket wants mode 0666 and its folder 0755 to be "
                  "for all users",
              is_chosen ? "connect(), which fails there"
                        : "the system's store for you; connect() goes on to your own"};
    case State::kNoSocket:
      return {bad, what + " is no socket, but something else of that name", other_name(place),
              is_chosen ? "connect(), which fails there" : "a daemon that can serve there"};
    case State::kStranger:
      return {bad, what + " is a Unix socket of another program", other_name(place),
              is_chosen ? "connect(), which fails there" : "a daemon that can serve there"};
    case State::kTooLong:
      return {bad,
              what + " has " + std::to_string(place.socket.size()) + " bytes, more than the kernel takes",
              "a shorter path", "connect(), which fails there"};
    case State::kFailed: break;
  }
  return {bad, what + ": " + place.reason, other_name(place), "connect(), which fails there"};
}

}  // namespace

Findings check_socket(const Machine&, const Sight& sight) {
  Findings findings;
  for (const Place& place : sight.places) {
    const bool is_worth_a_line =
        &place == &sight.place() || (place.who != Who::kElsewhere && place.state != State::kAbsent);
    if (is_worth_a_line) findings.push_back(judge(place, sight));
  }
  return findings;
}

Findings check_other_daemons(const Machine&, const Sight& sight) {
  const Place& chosen = sight.place();
  Findings findings;
  for (const Place& place : sight.places) {
    if (&place == &chosen || place.state != State::kServed) continue;
    findings.push_back(advice("another daemon serves " + place.socket + " (" + reason_of(place) +
                                  "); connect() takes " + chosen.socket + " (" + reason_of(chosen) + ")",
                              "`TENSORD_SOCKET=" + place.socket +
                                  "` for who means that one, or `tensorctl --socket " + place.socket +
                                  " stop` if nobody does",
                              "one store, in which everybody finds everybody's tensors"));
  }
  if (findings.empty()) return {ok("no other daemon serves you")};
  return findings;
}

Findings check_socket_folder(const Machine& machine, const Sight& sight) {
  const std::filesystem::path folder = std::filesystem::path(sight.place().socket).parent_path();
  if (!folder.is_absolute()) {
    return {problem("the socket path " + sight.place().socket + " is not absolute", "begin it with a /",
                    "a daemon that can serve there")};
  }
  if (!machine.exists(folder)) {
    // The daemon makes the last folder, and no other.
    if (machine.is_folder(folder.parent_path()))
      return {ok(folder.string() + " is made with the first daemon")};
    return {problem("the folder " + folder.parent_path().string() + " of the socket does not exist",
                    "`mkdir -p " + folder.string() + "`", "a daemon that can serve there")};
  }
  const uid_t server = sight.place().state == State::kServed ? sight.place().server_uid : ::geteuid();
  if (const std::string fault = daemon::fault_of_socket_folder(machine.at(folder), server); !fault.empty()) {
    return {problem(
        "the socket's folder " + folder.string() + " " + fault,
        "`chmod o-w " + folder.string() + "` and a `chown` to the daemon's user, or another --socket",
        "nobody can put a socket of his own in the daemon's place; no daemon starts there until then")};
  }
  const bool is_mine_to_serve = sight.place().who != Who::kSystem && sight.place().state != State::kServed;
  if (is_mine_to_serve && ::access(machine.at(folder).c_str(), W_OK | X_OK) != 0) {
    return {problem("you may not write in " + folder.string() + ", where the socket would be",
                    "another place, by TENSORD_SOCKET or --socket", "a daemon that can serve there")};
  }
  return {ok(folder.string() + " is safe: only the daemon's user and root can replace the socket")};
}

Findings check_runtime_folder(const Machine& machine, const Sight& sight) {
  const std::string uid = std::to_string(::geteuid());
  const std::string usual = "/run/user/" + uid;
  const char* const set = std::getenv("XDG_RUNTIME_DIR");
  const bool matters = sight.place().who == Who::kOwn;
  if (set == nullptr || *set != '/') {
    if (!matters || !machine.is_folder(usual))
      return {ok("XDG_RUNTIME_DIR is not set; your own socket lies in /tmp")};
    return {advice("XDG_RUNTIME_DIR is not set, so your own socket is " + sight.place().socket +
                       ", and elsewhere for who logs in",
                   "`export XDG_RUNTIME_DIR=" + usual + "` (cron, su and sudo do not)",
                   "one store for your logins and for what runs without one")};
  }
  const std::string folder = set;
  if (!machine.is_folder(folder)) {
    if (!matters) return {ok("XDG_RUNTIME_DIR is " + folder + ", which is not there, and not needed")};
    return {problem("XDG_RUNTIME_DIR is " + folder + ", and there is no such folder",
                    "`unset XDG_RUNTIME_DIR`, or `export XDG_RUNTIME_DIR=" + usual + "` if that exists",
                    "a place for your own daemon's socket")};
  }
  struct stat status {};
  if (::stat(machine.at(folder).c_str(), &status) == 0 && status.st_uid != ::geteuid() && matters) {
    return {problem(
        "XDG_RUNTIME_DIR is " + folder + ", which belongs to uid " + std::to_string(status.st_uid) +
            " and not to you",
        "`unset XDG_RUNTIME_DIR` (su and `sudo -E` keep that of who called them), or log in as the user",
        "a store of your own, in a place of your own")};
  }
  return {ok("XDG_RUNTIME_DIR is " + folder)};
}

}  // namespace tensord::tools::doctor
