// Waiting in a way that Ctrl-C ends: whoever is woken by a signal calls check_interrupt().
// Threads  any; set_interrupt_check() before threads start.
#pragma once

#include <chrono>
#include <functional>

namespace tensord::client {

void set_interrupt_check(std::function<void()> check);
// May throw, to give the wait up.
void check_interrupt();

// Waits until poll() reports `events` on `fd`, or a hang-up. False: it did not within `timeout`.
bool poll_until(int fd, short events, std::chrono::milliseconds timeout);

}  // namespace tensord::client
