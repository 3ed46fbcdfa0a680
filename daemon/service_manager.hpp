// What the daemon tells systemd, in the protocol of sd_notify(3): datagrams of NAME=value lines to the
// socket in $NOTIFY_SOCKET. Without that variable these do nothing.
// The protocol is stable and this small, which is why libsystemd is not a dependency.
#pragma once

#include <string_view>

namespace tensord::daemon {

void notify_service_manager(std::string_view lines);

}  // namespace tensord::daemon
