// Sight: which daemons serve this user, and which of them connect() takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tensord/error.hpp>
#include <tensord/store.hpp>

#include "machine.hpp"

namespace tensord::tools::doctor {

// A socket path that somebody may mean.
struct Place {
  enum class Who : std::uint8_t {
    kAsked,      // --socket
    kVariable,   // TENSORD_SOCKET
    kSystem,     // the system daemon's
    kOwn,        // this user's own
    kElsewhere,  // this user's own for a process with another XDG_RUNTIME_DIR
  };
  enum class State : std::uint8_t {
    kAbsent,  // nothing is there
    kServed,
    kStale,      // a socket that nobody listens at
    kForbidden,  // this user may not reach it
    kNoSocket,   // something else has the name
    kStranger,   // a Unix socket of another type: not tensord's
    kTooLong,    // for a socket address
    kFailed,     // `reason` says how
  };
  std::string socket;
  Who who = Who::kOwn;
  State state = State::kAbsent;
  std::uint32_t server_uid = 0;  // kServed: who listens
  std::string reason;            // kForbidden, kFailed: the system's words
};

// What answers at the chosen place.
struct Daemon {
  std::optional<StoreStats> stats;
  Errc refusal = Errc::kOk;  // why there are no stats
  std::string refusal_text;
  // Its number in /proc, if it can be seen from here: from inside a container it cannot.
  std::optional<std::string> pid;
  std::vector<std::string> words;  // its command line, if it can be seen

  // Whether its command line has `option`, followed by `value` or with "=value".
  [[nodiscard]] bool was_given(const std::string& option, const std::string& value) const;
};

struct Sight {
  std::vector<Place> places;
  std::size_t chosen = 0;  // the place that connect() takes
  std::optional<Daemon> daemon;

  [[nodiscard]] const Place& place() const { return places[chosen]; }
  [[nodiscard]] const StoreStats* stats() const {
    return daemon && daemon->stats ? &*daemon->stats : nullptr;
  }
};

// `asked_for`: the --socket of the command line, or empty. Starts no daemon.
[[nodiscard]] Sight look_around(const Machine& machine, const std::string& asked_for);

}  // namespace tensord::tools::doctor
