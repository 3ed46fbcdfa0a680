// Where the daemon is: which socket connect() uses.
#pragma once

#include <string>

namespace tensord::client {

struct Place {
  std::string socket;
  bool served = false;  // somebody listens there
};

// `asked_for`, if not empty; else $TENSORD_SOCKET; else the first default place that is served; else
// this user's own place. Throws ConnectionLostError if this user's own place is served by a stranger.
[[nodiscard]] Place locate(const std::string& asked_for);

}  // namespace tensord::client
