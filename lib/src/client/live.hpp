// Reading, writing and awaiting versions of live tensors (shm/live_header.hpp), with everything that
// takes more than memory: deadlines, sleeping, Ctrl-C, and asking the daemon whether a writer lives.
// Threads  any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "shm/live_header.hpp"

namespace tensord::client {

class Connection;

// A live tensor as these functions see it.
struct LiveTensor {
  Connection& connection;
  const shm::LiveHeader& header;
  shm::LiveHeader* writable;  // the same, mapped for writing; null if it is not
  std::uint32_t slot;

  [[nodiscard]] std::string name() const;  // quoted, for messages
};

// When a call gives up. kForever never comes, and is told without a look at the clock, which takes as long as
// half of a hand-off.
class Deadline {
 public:
  explicit Deadline(std::chrono::nanoseconds timeout);
  [[nodiscard]] bool passed() const;
  // At most `limit`, at least zero.
  [[nodiscard]] std::chrono::nanoseconds left(std::chrono::nanoseconds limit) const;

 private:
  static constexpr auto kNever = std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point at_ = kNever;
};

// Waits until the tensor is whole. Throws TornWriteError, TimeoutError (it names who is writing).
shm::LiveWord await_whole(const LiveTensor& tensor, const Deadline& deadline);

// Calls `copy` until all that it read was of one version. Returns its number. Throws as await_whole().
std::uint64_t copy_whole(const LiveTensor& tensor, const std::function<void()>& copy,
                         const Deadline& deadline);

// Waits until the version is another than `after`, and whole. Returns it. Throws as await_whole().
std::uint64_t await_version(const LiveTensor& tensor, std::uint64_t after, const Deadline& deadline);

// Takes the tensor for writing. Returns the word that is held. REQUIRES: tensor.writable.
// A torn tensor is taken only with `repair`. Throws TornWriteError, TimeoutError.
shm::LiveWord begin_writing(const LiveTensor& tensor, bool repair, const Deadline& deadline);
void end_writing(shm::LiveHeader& header, shm::LiveWord held) noexcept;
void give_up_writing(shm::LiveHeader& header, shm::LiveWord held) noexcept;

}  // namespace tensord::client
