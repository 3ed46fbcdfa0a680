// What is said when the daemon did what no daemon of ours does. Nothing that it sent is used then.
#pragma once

#include <string>

#include <tensord/error.hpp>

namespace tensord::client {

// `what`: a clause that says what it did.
[[noreturn]] inline void throw_broken_daemon(const std::string& what) {
  throw InternalError(
      what + ": the daemon is broken, or hostile; see its log, and restart it (`tensorctl restart`)");
}

}  // namespace tensord::client
