// Where the daemon is: which socket connect() uses.
#pragma once

#include <string>

#include "os/unique_fd.hpp"

namespace tensord::client {

// A connected socket; an empty one if nobody listens at `path`. Throws ConnectionLostError if what
// is there cannot be a tensord's socket, or may not be used.
[[nodiscard]] os::UniqueFd dial(const std::string& path);

struct Place {
  std::string socket;
  os::UniqueFd connected;  // empty: nobody listens there
};

// `asked_for`, if not empty; else $TENSORD_SOCKET; else the first default place that is served; else
// this user's own place. Throws ConnectionLostError if this user's own place is served by a stranger.
[[nodiscard]] Place locate(const std::string& asked_for);

}  // namespace tensord::client
