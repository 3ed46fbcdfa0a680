// Waiting for a name. The daemon makes a word of the catalog grow after it published a name of that hash, and
// wakes who sleeps on it (shm/catalog.hpp, [event]). So we read the word, look for the name, and sleep while
// the word is what it was: whatever is published after our look ends the sleep, or prevents it. The look asks
// the daemon, for a miss in shared memory proves nothing.
//
// A word stands for many names, so every wake-up is only a reason to look again. And who sleeps on a word
// sees neither the socket hang up nor its Store closed by another thread, so sleeps are short.
#include <atomic>
#include <chrono>
#include <utility>

#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/interrupt.hpp"
#include "client/live.hpp"
#include "client/shown_wait.hpp"
#include "client/spin.hpp"
#include "client/store_state.hpp"
#include "os/crash_point.hpp"
#include "os/futex.hpp"

namespace tensord {
namespace {

// How late a waiter may notice that the daemon is gone. Looking around costs three system calls, no request.
constexpr std::chrono::milliseconds kLookAroundInterval{200};

}  // namespace

View Store::wait(std::string_view name, std::chrono::nanoseconds timeout, Mode mode) const {
  using client::Connection;
  const client::Deadline deadline(timeout);
  std::shared_ptr<Connection> shown_by;  // outlives what is shown in its ledger
  client::ShownWait shown;
  for (;;) {
    const bool last_look = deadline.passed();
    auto connection = state_->connection();
    const std::atomic<std::uint32_t>& word = connection->name_event(name);
    const std::uint32_t seen = word.load(std::memory_order_acquire);
    os::crash_point("wait.looked");

    auto handed_over = connection;
    if (View view = Connection::attach_mapped(handed_over, name, mode)) return view;
    // Who is about to put it needs no daemon to tell us so; and while we spin, the daemon is there for him.
    if (!last_look && client::spin([&] { return word.load(std::memory_order_acquire) != seen; })) continue;
    Result<View> result = Connection::attach_asking(
        connection, name, mode, last_look ? protocol::IfNone::kGiveUp : protocol::IfNone::kWait);
    os::crash_point("wait.asked");
    if (result) return std::move(result.value());
    const Failure& failure = result.failure();
    if (failure.code != Errc::kNotFound) throw_error(failure.code, failure.text);
    if (last_look) throw TimeoutError("waited in vain: " + failure.text);

    if (shown_by != connection) {
      shown.hide();
      shown_by = connection;
    }
    shown.show_name(connection->ledger(), name);
    while (word.load(std::memory_order_acquire) == seen && !deadline.passed() && !connection->hung_up()) {
      os::crash_point("wait.sleeping");
      const auto outcome = os::futex_wait(&word, seen, deadline.left(kLookAroundInterval));
      os::crash_point("wait.woken");
      // Also when nothing interrupted: the signal may have come just before the sleep.
      if (outcome != os::FutexWait::kLookAgain) client::check_interrupt();
      // Throws if the Store was closed; it has another one after a fork.
      if (state_->connection() != connection) break;
    }
  }
}

}  // namespace tensord
