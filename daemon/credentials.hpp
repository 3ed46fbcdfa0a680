// Who is on the other side of a socket, as the kernel says it.
#pragma once

#include <sys/types.h>

namespace tensord::daemon {

struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

}  // namespace tensord::daemon
