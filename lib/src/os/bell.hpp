// Bell: wakes another process that waits in epoll, by an eventfd.
//
// Not by a datagram, although there is a socket: with a datagram the kernel expects the waker to sleep at
// once and wakes the other where the waker runs, which then works on beside it. An idle processor is woken in
// half of that time (docs/decisions/requests-by-ring.md has the figures). Trust  Both sides hold the same
// eventfd, so either may change its flags or its count: nothing here blocks,
//        whatever the other does.
#pragma once

#include "os/unique_fd.hpp"

namespace tensord::os {

// Throws std::system_error.
[[nodiscard]] UniqueFd make_bell();
// A bell that somebody sent. Throws std::system_error if it is no such thing: writing to a pipe that nobody
// reads would end the process.
[[nodiscard]] UniqueFd adopt_bell(UniqueFd fd);

// Who waits for it to be readable wakes up. False if it cannot be rung.
bool ring_bell(int bell) noexcept;
// From here on it is quiet until it is rung again.
void hush_bell(int bell) noexcept;

}  // namespace tensord::os
