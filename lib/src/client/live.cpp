// Everybody here waits the same way: look, spin for a moment, then sleep on the word. The sleep is
// bounded while somebody writes, because a writer can die without a word; then the daemon is asked
// whether the writer's connection still exists. It is the only one who knows, and it is not guessed from
// a pid or a clock.
//
// Before the first sleep on a tensor somebody says so in its header (shm/live_header.hpp, [wake]), or no
// writer would wake him: he himself if he can write there, else the daemon. The daemon is told, and not
// waited for. The word that it sets is in plain sight, so a sleep is short as long as it is not set: the
// daemon may be stopped, or gone, or deaf to a connection from before a fork.
#include "client/live.hpp"

#include <algorithm>
#include <string>

#include <tensord/error.hpp>
#include <tensord/view.hpp>

#include "client/connection.hpp"
#include "client/interrupt.hpp"
#include "client/shown_wait.hpp"
#include "client/spin.hpp"
#include "os/crash_point.hpp"
#include "os/futex.hpp"
#include "protocol/tensor_spec.hpp"

namespace tensord::client {
namespace {

using protocol::quoted;
using shm::LiveHeader;
using shm::LiveWord;

// How long a writer may stay silent before the daemon is asked whether it lives.
constexpr std::chrono::milliseconds kWriterCheckInterval{20};
// Nothing can die while a tensor is whole, so this only bounds how long somebody sleeps who is to give up:
// a signal may come just before the sleep, and then it interrupts nothing.
constexpr std::chrono::milliseconds kQuietInterval{200};
// How long one sleeps whom no writer would wake.
constexpr std::chrono::milliseconds kUnheardInterval{10};
// How long the daemon may take to hear of a sleeper, woken for it.
constexpr std::chrono::microseconds kHearing{200};

std::string describe_writer(const LiveTensor& tensor, std::uint32_t writer) {
  const auto peer = tensor.connection.ask_about(writer);
  return peer.connected ? "pid " + std::to_string(peer.pid) : "a writer that is gone";
}

// Who has not acted, when no version came.
std::string describe_silence(const LiveTensor& tensor) {
  const std::uint32_t writer = tensor.header.last_writer.load(std::memory_order_relaxed);
  if (writer == 0) return "nobody has written it since it was put";
  try {
    const auto peer = tensor.connection.ask_about(writer);
    return peer.connected
               ? "its last writer, pid " + std::to_string(peer.pid) + ", is still connected and has not acted"
               : "its last writer is gone";
  } catch (const ConnectionLostError&) {
    // The tensor stays where it is, and its writers may go on.
    return "whether its last writer still lives only the daemon knew, and that is gone";
  }
}

// Whether nobody will ever finish writing `word`.
bool is_torn(const LiveTensor& tensor, LiveWord word) {
  if (word.whole()) return false;
  if (word.writer == shm::kTornWriter) return true;
  const bool writer_lives = tensor.connection.ask_about(word.writer).connected;
  os::crash_point("version.asked");
  if (writer_lives) return false;
  // The writer may have finished, and hung up, between our look and the question.
  return tensor.header.load() == word;
}

[[noreturn]] void throw_torn(const LiveTensor& tensor) {
  throw TornWriteError("the live tensor " + tensor.name() +
                       " is half written, its writer died or gave up in the middle: write it whole with "
                       "writing(repair=True), or replace it");
}

// Has writers wake who sleeps on the tensor from now on, if that can be had.
void ask_for_wakes(const LiveTensor& tensor) {
  if (tensor.header.is_awaited()) return;
  if (tensor.writable != nullptr) return tensor.writable->set_awaited();
  tensor.connection.say_awaited(tensor.slot);
}

// Until the word is another than `seen`, or it is time to look around.
void pause(const LiveTensor& tensor, LiveWord seen, const Deadline& deadline, ShownWait& shown) {
  const auto changed = [&] { return tensor.header.load() != seen; };
  if (spin(changed)) return;
  os::crash_point("version.looked");
  ask_for_wakes(tensor);
  os::crash_point("version.said");
  // Looks at the word before it looks whether that is awaited: [calm].
  static_cast<void>(spin([&] { return changed() || tensor.header.is_awaited(); }, kHearing));
  if (changed()) return;
  const std::chrono::nanoseconds limit = !tensor.header.is_awaited() ? kUnheardInterval
                                         : seen.whole()              ? kQuietInterval
                                                                     : kWriterCheckInterval;
  shown.show_slot(tensor.connection.ledger(), tensor.slot);
  os::crash_point("version.sleeping");
  const os::FutexWait outcome = os::futex_wait(tensor.header.futex(), seen.sequence, deadline.left(limit));
  os::crash_point("version.woken");
  if (outcome != os::FutexWait::kLookAgain) check_interrupt();
  if (outcome == os::FutexWait::kTimedOut && is_torn(tensor, seen)) throw_torn(tensor);
}

LiveWord await_whole(const LiveTensor& tensor, const Deadline& deadline, ShownWait& shown) {
  for (;;) {
    const LiveWord word = tensor.header.load();
    if (word.whole()) return word;
    if (word.writer == shm::kTornWriter) throw_torn(tensor);
    if (deadline.passed()) {
      if (is_torn(tensor, word)) throw_torn(tensor);
      throw TimeoutError("the live tensor " + tensor.name() + " is still being written by " +
                         describe_writer(tensor, word.writer) + ": wait longer, or look what that does");
    }
    pause(tensor, word, deadline, shown);
  }
}

}  // namespace

std::string LiveTensor::name() const { return quoted(connection.name_of(slot)); }

Deadline::Deadline(std::chrono::nanoseconds timeout) {
  if (timeout == kForever) return;
  const auto now = std::chrono::steady_clock::now();
  at_ = timeout >= kNever - now ? kNever : now + timeout;
}

bool Deadline::passed() const { return at_ != kNever && std::chrono::steady_clock::now() >= at_; }

std::chrono::nanoseconds Deadline::left(std::chrono::nanoseconds limit) const {
  if (at_ == kNever) return limit;
  const auto now = std::chrono::steady_clock::now();
  return std::clamp(std::chrono::nanoseconds(at_ - now), std::chrono::nanoseconds(0), limit);
}

LiveWord await_whole(const LiveTensor& tensor, const Deadline& deadline) {
  ShownWait shown;
  return await_whole(tensor, deadline, shown);
}

std::uint64_t copy_whole(const LiveTensor& tensor, const std::function<void()>& copy,
                         const Deadline& deadline) {
  for (;;) {
    const LiveWord word = await_whole(tensor, deadline);
    const std::uint64_t version = tensor.header.version.load(std::memory_order_relaxed);
    copy();
    if (tensor.header.still(word)) return version;
    if (deadline.passed()) {
      throw TimeoutError("the live tensor " + tensor.name() + " changes faster than it can be copied, by " +
                         describe_writer(tensor, tensor.header.last_writer.load(std::memory_order_relaxed)) +
                         "; wait for a version, or slow its writer down");
    }
  }
}

std::uint64_t await_version(const LiveTensor& tensor, std::uint64_t after, const Deadline& deadline) {
  ShownWait shown;
  for (;;) {
    const LiveWord word = await_whole(tensor, deadline, shown);
    const std::uint64_t version = tensor.header.version.load(std::memory_order_relaxed);
    if (!tensor.header.still(word)) continue;
    if (version != after) return version;
    if (deadline.passed()) {
      throw TimeoutError("nobody has written the live tensor " + tensor.name() + " since version " +
                         std::to_string(after) + ": " + describe_silence(tensor));
    }
    pause(tensor, word, deadline, shown);
  }
}

LiveWord begin_writing(const LiveTensor& tensor, bool repair, const Deadline& deadline) {
  LiveHeader& header = *tensor.writable;
  const std::uint32_t self = tensor.connection.number();
  for (;;) {
    const LiveWord word = header.load();
    if (!word.whole() && !(repair && is_torn(tensor, word))) {
      await_whole(tensor, deadline);
      continue;
    }
    if (header.begin(word, self)) {
      os::crash_point("writing.begun");
      return LiveHeader::held_after(word, self);
    }
  }
}

void end_writing(LiveHeader& header, LiveWord held) noexcept {
  os::crash_point("writing.ending");
  const bool wakes_once_more = header.calm_down();
  header.end(held);
  if (!wakes_once_more && !header.is_awaited()) return;
  header.count_wake(os::futex_wake_all(header.futex()));
}

void give_up_writing(LiveHeader& header, LiveWord held) noexcept {
  header.give_up(held);
  os::futex_wake_all(header.futex());
}

}  // namespace tensord::client
