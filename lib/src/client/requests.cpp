#include "client/requests.hpp"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <tensord/error.hpp>

#include "client/interrupt.hpp"
#include "client/spin.hpp"
#include "os/bell.hpp"
#include "os/cpu.hpp"
#include "os/crash_point.hpp"
#include "os/futex.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"

namespace tensord::client {
namespace {

using os::crash_point;

// Requests are sent without regard to whether the daemon reads them just now. So many bytes fit into its
// socket with all overhead, so that a row of them never waits in send(), where no Ctrl-C is heard.
constexpr std::size_t kMaxBytesUnderWay = 64 * 1024;
// A daemon that is awake answers within a few microseconds, one that was woken within a wake-up (28 to 45
// us, limits.md). Who waits longer than both sleeps. Where that does not help, because the daemon has to
// wait for a processor, the spin gets shorter, down to what costs nothing beside the sleep.
constexpr std::chrono::nanoseconds kLongestSpin = std::chrono::microseconds(80);
constexpr std::chrono::nanoseconds kShortestSpin = std::chrono::microseconds(2);
// How often a long one is tried all the same: once both have slept, only that brings them together again.
constexpr std::uint32_t kSpinsAgainAfter = 8;
// Of a Hello's reply, which may come again.
constexpr std::size_t kMostFds = 3;
// How often who waits, for an answer or for another thread's request, looks whether a signal came or the
// daemon went.
constexpr std::chrono::milliseconds kLookAroundInterval{50};

}  // namespace

Failure no_descriptor_is_free() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return {Errc::kLimitReached, "this process may have " + std::to_string(limit.rlim_cur) +
                                   " open files, and has no descriptor left for the memory that the daemon "
                                   "sent: raise that limit (ulimit -n, RLIMIT_NOFILE), or close some"};
}

Requests::Requests(os::UniqueFd socket, std::string path, std::shared_ptr<Counters> counters)
    : socket_(std::move(socket)), path_(std::move(path)), counters_(std::move(counters)) {}

void Requests::open_ring(shm::RingMemory& memory, os::UniqueFd bell) {
  ring_.emplace(memory);
  bell_ = std::move(bell);
}

void Requests::lost(const std::string& why) {
  lost_because_ = "the tensord daemon at " + path_ + " is gone (" + why +
                  "): its tensors went with it, views held here stay readable; connect again";
  throw ConnectionLostError(lost_because_);
}

bool Requests::hung_up() const noexcept {
  pollfd hang_up{socket_.get(), 0, 0};  // no events: POLLHUP is always reported
  return ::poll(&hang_up, 1, 0) > 0;
}

void Requests::await_hang_up(std::chrono::milliseconds timeout) {
  if (!poll_until(socket_.get(), /*events=*/0, timeout)) {
    throw TimeoutError("the daemon at " + path_ + " was asked to stop but still runs: see its log");
  }
}

// By the ring, so that the daemon hears it before the request that comes next. Not while a request is being
// made, by another thread or, in an interrupt check, by this very one.
void Requests::hint(std::span<std::byte> message) noexcept {
  try {
    if (const std::unique_lock use(use_, std::try_to_lock); use && has_room()) {
      number(message);
      post(message);
      return;
    }
    os::send_message(socket_.get(), message, {}, /*block=*/false);
  } catch (...) {
  }
}

// ---- requests ---------------------------------------------------------------------------------

std::unique_lock<std::timed_mutex> Requests::await_turn() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  // No signal ends the wait for a mutex, and whoever has it may wait for a daemon that is stopped.
  while (!lock && !lock.try_lock_for(kLookAroundInterval)) check_interrupt();
  return lock;
}

Requests::Road Requests::road_for(std::size_t request_bytes, std::size_t reply_bytes) const {
  const bool fits = request_bytes <= shm::kRingRequestBytes && reply_bytes <= shm::kRingReplyBytes;
  return ring_ && fits ? Road::kRing : Road::kSocket;
}

void Requests::transact(std::span<std::byte> request, std::span<std::byte> reply,
                        std::vector<os::UniqueFd>* fds) {
  const auto turn = await_turn();
  const std::lock_guard use(use_);
  if (!lost_because_.empty()) throw ConnectionLostError(lost_because_);
  counters_->requests.fetch_add(1, std::memory_order_relaxed);
  settle_what_was_given_up();

  const Road road = fds != nullptr ? Road::kSocket : road_for(request.size(), reply.size());
  given_up_ = road == Road::kRing;  // if something throws before the reply is there
  const std::uint32_t id = send(request, road);
  crash_point("request.sent");
  std::vector<os::UniqueFd> received_fds;
  const auto refusal = take(id, road, reply, received_fds);
  given_up_ = false;
  if (refusal) throw_error(refusal->code, refusal->text);
  if (fds != nullptr) *fds = std::move(received_fds);
}

void Requests::transact_many(std::size_t count, std::size_t request_bytes,
                             const std::function<std::span<std::byte>(std::size_t)>& request,
                             std::span<std::byte> reply, const std::function<void(std::size_t)>& take_one) {
  if (count == 0) return;
  const auto turn = await_turn();
  const std::lock_guard use(use_);
  if (!lost_because_.empty()) throw ConnectionLostError(lost_because_);
  counters_->requests.fetch_add(1, std::memory_order_relaxed);
  settle_what_was_given_up();

  const Road road = road_for(request_bytes, reply.size());
  const std::size_t window =
      road == Road::kRing ? shm::kRingEntries
                          : std::min(protocol::kMaxRequestsUnderWay, kMaxBytesUnderWay / request_bytes);
  given_up_ = road == Road::kRing;
  const std::uint32_t first_id = last_id_ + 1;
  std::size_t sent = 0, taken = 0;
  std::optional<Failure> refusal;
  std::vector<os::UniqueFd> no_fds;
  while (taken < sent || (sent < count && !refusal)) {
    // Half a window at a time, so that the two processes wake each other less often.
    if (!refusal && sent - taken <= window / 2) {
      for (; sent < count && sent - taken < window; ++sent) send(request(sent), road);
      crash_point("row.under_way");
    }
    auto refused = take(first_id + static_cast<std::uint32_t>(taken), road, reply, no_fds);
    if (!refused) {
      take_one(taken);
    } else if (!refusal) {
      refusal = std::move(refused);
    }
    ++taken;
  }
  given_up_ = false;
  if (refusal) throw_error(refusal->code, refusal->text);
}

std::optional<std::uint32_t> Requests::begin(std::span<std::byte> request) {
  const std::uint32_t id = number(request);
  if (!os::send_message(socket_.get(), request)) return std::nullopt;
  ++unanswered_;
  return id;
}

std::uint32_t Requests::send(std::span<std::byte> request, Road road) {
  if (road == Road::kSocket) {
    const std::optional<std::uint32_t> id = begin(request);
    if (!id) lost("it hung up");
    return *id;
  }
  const std::uint32_t id = number(request);
  // Full only of hints, and of requests that were given up: a row of ours never has more under way than fit.
  while (!has_room()) settle_next();
  post(request);
  return id;
}

std::uint32_t Requests::number(std::span<std::byte> request) {
  const std::uint32_t id = ++last_id_;
  std::memcpy(request.data() + offsetof(protocol::RequestHeader, id), &id, sizeof id);
  return id;
}

std::optional<Failure> Requests::take(std::uint32_t id, Road road, std::span<std::byte> reply,
                                      std::vector<os::UniqueFd>& fds) {
  std::array<std::byte, protocol::kMaxMessageBytes> buffer;
  Message message =
      road == Road::kRing ? Message{take_from_ring(id, buffer), {}} : take_from_socket(id, buffer);
  if (message.fds_lost) return no_descriptor_is_free();
  fds = std::move(message.fds);
  const std::size_t size_bytes = message.size_bytes;
  protocol::ReplyHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (header.status != Errc::kOk) {
    protocol::ErrorReply error;
    if (size_bytes != sizeof error) lost("it sent an error of the wrong size");
    std::memcpy(&error, buffer.data(), sizeof error);
    return Failure{header.status, std::string(error.text.view())};
  }
  if (size_bytes != reply.size()) lost("it sent a reply of the wrong size");
  std::memcpy(reply.data(), buffer.data(), size_bytes);
  return std::nullopt;
}

// A tensor that was created for nobody has no owner.
void Requests::settle(std::span<const std::byte> reply) {
  protocol::CreateReply created;
  if (reply.size() != sizeof created) return;
  std::memcpy(&created, reply.data(), sizeof created);
  if (created.header.type != protocol::MessageType::kCreate || created.header.status != Errc::kOk) return;
  // Each once: a daemon gone mad that says so again, or of what was not asked, would have us abort for ever.
  if (shm::is_past(settled_id_, created.header.id) || shm::is_past(created.header.id, last_id_)) return;
  settled_id_ = created.header.id + 1;
  protocol::Abort abort;
  abort.header = {protocol::Abort::kType, created.header.id};  // for which no caller waits any more
  abort.slot = created.draft.slot;
  abort.word = created.draft.word;
  if (has_room()) {
    post(protocol::bytes_of(abort));
  } else if (os::send_message(socket_.get(), protocol::bytes_of(abort))) {
    ++unsettled_;
  }
}

// So that nothing of them is left once the request that comes now is answered.
void Requests::settle_what_was_given_up() {
  while (given_up_ && taken_ != ring_->posted()) settle_next();
  given_up_ = false;
}

// ---- the socket -------------------------------------------------------------------------------

Requests::Message Requests::receive(std::span<std::byte> buffer) {
  // Each request has one reply; what a daemon gone mad says beyond that is not waited for.
  if (unanswered_ + unsettled_ == 0) lost("it answered something else than it was asked");
  for (std::size_t repeats = 0; repeats <= protocol::kMaxRequestsUnderWay;) {
    os::Received received;
    try {
      received = os::receive_message(socket_.get(), buffer, kMostFds);
    } catch (const std::system_error& error) {
      if (error.code().value() != EINTR)
        throw InternalError(std::string("cannot receive from the daemon: ") + error.what());
      check_interrupt();
      continue;
    }
    if (received.size_bytes == 0) lost("it hung up");
    if (received.truncated || received.size_bytes < sizeof(protocol::ReplyHeader)) {
      lost("it sent a reply of the wrong size");
    }
    protocol::ReplyHeader header;
    std::memcpy(&header, buffer.data(), sizeof header);
    if (is_new(header)) return {received.size_bytes, std::move(received.fds), received.fds_lost};
    ++repeats;
  }
  lost("it repeats itself");
}

// A daemon that died after a reply, and before it could note that, has a successor who replies once more.
bool Requests::is_new(const protocol::ReplyHeader& reply) {
  if (shm::is_past(reply.id, heard_id_)) {
    heard_id_ = reply.id;
    if (unanswered_ == 0) lost("it answered something else than it was asked");
    --unanswered_;
    return true;
  }
  if (reply.id == 0) lost("it answered something else than it was asked");
  if (reply.type != protocol::MessageType::kAbort || unsettled_ == 0) return false;
  --unsettled_;
  return true;
}

Requests::Message Requests::take_from_socket(std::uint32_t id, std::span<std::byte> buffer) {
  for (;;) {
    Message message = receive(buffer);
    protocol::ReplyHeader header;
    std::memcpy(&header, buffer.data(), sizeof header);
    if (header.id == id) {
      return message;
    }
    // The late reply to a request that was given up.
    settle(buffer.first(message.size_bytes));
  }
}

// ---- the ring ---------------------------------------------------------------------------------

// An entry is free again once its reply was taken.
bool Requests::has_room() const { return ring_ && ring_->posted() - taken_ < shm::kRingEntries; }

std::span<const std::byte> Requests::next_reply() {
  if (taken_ == ring_->posted()) lost("it answered something else than it was asked");
  await_answer(taken_);
  return ring_->reply(taken_++);
}

void Requests::settle_next() { settle(next_reply()); }

void Requests::post(std::span<const std::byte> request) {
  ring_->post(request, os::this_cpu());
  if (ring_->must_ring() && os::ring_bell(bell_.get())) ring_->rang();
}

std::size_t Requests::take_from_ring(std::uint32_t id, std::span<std::byte> buffer) {
  for (;;) {
    const std::span<const std::byte> reply = next_reply();
    if (reply.size() < sizeof(protocol::ReplyHeader)) lost("it posted a reply of the wrong size");
    std::memcpy(buffer.data(), reply.data(), reply.size());
    protocol::ReplyHeader header;
    std::memcpy(&header, buffer.data(), sizeof header);
    if (header.id == id) return reply.size();
    settle(buffer.first(reply.size()));
  }
}

void Requests::await_answer(std::uint32_t number) {
  if (ring_->answered(number)) return;
  if (spin_for(number)) return;
  struct Sleep {
    shm::RingClient& ring;
    ~Sleep() { ring.end_sleep(); }
  } const sleep{*ring_};
  while (!ring_->begin_sleep(number)) {
    if (hung_up()) lost("it hung up");
    const auto outcome = os::futex_wait(ring_->sleep_word(), shm::RingClient::kSleeping, kLookAroundInterval);
    if (outcome == os::FutexWait::kLookAgain) continue;
    check_interrupt();
  }
}

bool Requests::spin_for(std::uint32_t number) {
  const std::uint32_t daemon_cpu = ring_->daemon_cpu();
  if (daemon_cpu == os::this_cpu()) return false;
  const bool try_again = daemon_cpu == shm::kMovingCpu || number % kSpinsAgainAfter == 0;
  const bool answered = spin([&] { return ring_->answered(number); }, try_again ? kLongestSpin : patience_);
  patience_ = answered ? kLongestSpin : std::max(patience_ / 2, kShortestSpin);
  return answered;
}

}  // namespace tensord::client
