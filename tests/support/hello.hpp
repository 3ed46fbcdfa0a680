// The first message of a client that speaks the protocol by hand, as the daemon wants it.
#pragma once

#include "protocol/messages.hpp"
#include "shm/catalog.hpp"

namespace tensord::test {

inline protocol::Hello make_hello() {
  protocol::Hello hello;
  hello.header = {protocol::Hello::kType, 1};
  hello.layout_version = shm::kLayoutVersion;
  return hello;
}

}  // namespace tensord::test
