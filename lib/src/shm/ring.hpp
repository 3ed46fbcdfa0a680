// Ring: the quick road of requests: a connection's requests and their replies in memory that it shares
// with the daemon, so that neither makes a system call while both are awake.
// Question it answers: which requests has the client posted, and which of them are answered?
//
//   off  size field     written by                         read by
//     0     4 posted    client: requests so far            daemon
//     4     4 sleeping  client: 1 when it is to be woken   daemon
//                       for the next answer; a futex;
//                       daemon: 0 when it does that
//     8     4 cpu       client: where it runs              daemon
//    64     4 answered  daemon: answers so far             client
//    68     4 watched   daemon: 1 while it looks at        client
//                       `posted` by itself
//    72     4 cpu       daemon: where it runs              client
//   128       entries   request n and its reply in entry   both
//                       n mod kRingEntries
//
//   client:  entry.request ─► posted = n+1 ─► watched? if not: ring the bell (os/bell.hpp)
//   daemon:  posted > n ─► copies the request out ─► entry.reply ─► answered = n+1
//
// Zero   zeroed memory is an empty ring that nobody watches.
// Order  [post]   client: entry, posted = n+1, then load watched. Both seq_cst.
//        [leave]  daemon: watched = 0, then load posted. Both seq_cst.
//                 So a request is seen, or its client sees that the bell must be rung.
//        [rung]   client: posted = n+1, then load answered. Daemon: answered, then load posted. All seq_cst.
//                 The daemon looks again after each answer. So while a request is unanswered for which the
//                 bell was rung, the next ones need none.
//        [answer] daemon: entry, answered = n+1, then load sleeping. Both seq_cst.
//        [sleep]  client: sleeping = 1, then load answered. Both seq_cst.
//                 So a client that sleeps has seen the answer, or is woken.
//        Requests and replies are passed on by release stores of the counts, and acquire loads.
// Cpu    Who spins for the other on the other's processor keeps it from running; so each says where it was
//        last. A hint: they move.
// Wrap   counts are 32 bits and wrap; only their differences are used.
// Crash  A client that dies leaves posted requests: the daemon answers them or not, nobody looks. A
//        daemon that dies leaves requests unanswered; the next one resumes at `answered`, or if there is none
//        the socket tells its client.
// Trust  All of it is writable by the client. The daemon counts answers in memory of its own, copies a
//        request out before it looks at it, and ends a client that posts more than there are entries.
//        A client that forges `watched` waits for its own answer; nobody else does.
// Threads RingClient: one at a time. RingServer: the daemon's one thread.
// Tests  tests/unit/ring_test.cpp, tests/concurrency/ring_test.cpp
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tensord::shm {

// Requests under way at once; a batch posts this many before it waits.
inline constexpr std::uint32_t kRingEntries = 32;
inline constexpr std::size_t kRingRequestBytes = 1024 - 8;
inline constexpr std::size_t kRingReplyBytes = 1024;

// As the daemon's processor: it is on its way to another one. A client that slept now would be woken where
// the daemon is then, and the two were together again.
inline constexpr std::uint32_t kMovingCpu = 0xffff'ffff;

struct RingEntry {
  std::uint32_t request_bytes;
  std::uint32_t reply_bytes;
  std::byte request[kRingRequestBytes];
  std::byte reply[kRingReplyBytes];
};
static_assert(sizeof(RingEntry) == 2048);
static_assert((kRingEntries & (kRingEntries - 1)) == 0, "counts wrap at a multiple of it");

struct RingMemory {
  alignas(64) std::atomic<std::uint32_t> posted;
  std::atomic<std::uint32_t> sleeping;
  std::atomic<std::uint32_t> client_cpu;
  alignas(64) std::atomic<std::uint32_t> answered;
  std::atomic<std::uint32_t> watched;
  std::atomic<std::uint32_t> daemon_cpu;
  alignas(64) RingEntry entries[kRingEntries];
};
static_assert(offsetof(RingMemory, answered) == 64 && offsetof(RingMemory, entries) == 128);

// [Wrap] Whether a count has gone past this number.
[[nodiscard]] constexpr bool is_past(std::uint32_t count, std::uint32_t number) {
  return static_cast<std::int32_t>(count - number) > 0;
}

class RingClient {
 public:
  RingClient() = default;
  // Zeroed memory of a ring that the daemon serves.
  explicit RingClient(RingMemory& memory) : memory_(&memory) {}

  // How many requests can be posted now. Those given up still count until they are answered.
  [[nodiscard]] std::uint32_t room() const {
    return kRingEntries - (posted_ - memory_->answered.load(std::memory_order_acquire));
  }
  // [post] Posts a request and returns its number. REQUIRES: room(), request.size() <= kRingRequestBytes.
  std::uint32_t post(std::span<const std::byte> request, std::uint32_t cpu) {
    RingEntry& entry = memory_->entries[posted_ % kRingEntries];
    memory_->client_cpu.store(cpu, std::memory_order_relaxed);
    entry.request_bytes = static_cast<std::uint32_t>(request.size());
    std::ranges::copy(request, entry.request);
    memory_->posted.store(posted_ + 1, std::memory_order_seq_cst);
    return posted_++;
  }
  // Whether the daemon looks by itself, as far as one can see.
  [[nodiscard]] bool watched() const { return memory_->watched.load(std::memory_order_seq_cst) != 0; }
  // [post] [rung] Whether the daemon must be told of what was posted last.
  [[nodiscard]] bool must_ring() {
    const bool is_watched = watched();
    const std::uint32_t answered = memory_->answered.load(std::memory_order_seq_cst);
    if (is_past(rung_until_, answered)) return false;
    rung_until_ = answered;  // keeps up, so that it does not lie half a wrap behind one day
    return !is_watched;
  }
  // It is being told of that.
  void rang() { rung_until_ = posted_; }

  [[nodiscard]] std::uint32_t posted() const { return posted_; }
  [[nodiscard]] std::uint32_t daemon_cpu() const {
    return memory_->daemon_cpu.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool answered(std::uint32_t number) const {
    return is_past(memory_->answered.load(std::memory_order_acquire), number);
  }
  // What sleep_word() holds while the client wants to be woken.
  static constexpr std::uint32_t kSleeping = 1;
  [[nodiscard]] const void* sleep_word() const { return &memory_->sleeping; }
  // [sleep] Asks to be woken at the next answer. True: the answer came meanwhile, do not sleep.
  bool begin_sleep(std::uint32_t number) {
    memory_->sleeping.store(kSleeping, std::memory_order_seq_cst);
    return is_past(memory_->answered.load(std::memory_order_seq_cst), number);
  }
  void end_sleep() { memory_->sleeping.store(0, std::memory_order_relaxed); }
  // The reply. REQUIRES: answered(number), and fewer than kRingEntries requests posted since.
  [[nodiscard]] std::span<const std::byte> reply(std::uint32_t number) const {
    const RingEntry& entry = memory_->entries[number % kRingEntries];
    const std::uint32_t claimed = reinterpret_cast<const volatile std::uint32_t&>(entry.reply_bytes);
    return {entry.reply, claimed < kRingReplyBytes ? claimed : kRingReplyBytes};
  }

 private:
  RingMemory* memory_ = nullptr;
  std::uint32_t posted_ = 0;
  std::uint32_t rung_until_ = 0;  // for requests before this one the bell was rung, or need not be
};

class RingServer {
 public:
  RingServer() = default;
  explicit RingServer(RingMemory& memory) : memory_(&memory) {}

  // Goes on with a ring that another daemon served, as far as its client says; to himself it matters.
  [[nodiscard]] static RingServer resume(RingMemory& memory) {
    RingServer ring(memory);
    ring.answered_ = memory.answered.load(std::memory_order_acquire);
    return ring;
  }

  enum class Look { kNothing, kRequest, kBroken };
  // Whether a request waits for its answer. kBroken: the client posts more than fits.
  [[nodiscard]] Look look() const { return judge(memory_->posted.load(std::memory_order_seq_cst)); }

  // Copies the oldest unanswered request out. Its size may be anything up to the buffer's.
  // REQUIRES: look() is kRequest.
  std::size_t copy_request(std::array<std::byte, kRingRequestBytes>& buffer) const {
    const RingEntry& entry = memory_->entries[answered_ % kRingEntries];
    const std::uint32_t claimed = reinterpret_cast<const volatile std::uint32_t&>(entry.request_bytes);
    const std::size_t size_bytes = claimed < buffer.size() ? claimed : buffer.size();
    std::memcpy(buffer.data(), entry.request, size_bytes);
    return size_bytes;
  }
  // [answer] Answers that request. True: its client sleeps, and is to be woken at sleep_word().
  // REQUIRES: reply.size() <= kRingReplyBytes.
  bool answer(std::span<const std::byte> reply) {
    RingEntry& entry = memory_->entries[answered_ % kRingEntries];
    entry.reply_bytes = static_cast<std::uint32_t>(reply.size());
    std::ranges::copy(reply, entry.reply);
    memory_->answered.store(++answered_, std::memory_order_seq_cst);
    if (memory_->sleeping.load(std::memory_order_seq_cst) == 0) return false;
    // Once is enough. Who wakes from it and wants to sleep on says so again.
    memory_->sleeping.store(0, std::memory_order_relaxed);
    return true;
  }

  [[nodiscard]] const void* sleep_word() const { return &memory_->sleeping; }

  void watch(std::uint32_t cpu) {
    memory_->daemon_cpu.store(cpu, std::memory_order_relaxed);
    memory_->watched.store(1, std::memory_order_seq_cst);
  }
  [[nodiscard]] std::uint32_t client_cpu() const {
    return memory_->client_cpu.load(std::memory_order_relaxed);
  }
  // [leave] The caller looks once more, after this.
  void unwatch() { memory_->watched.store(0, std::memory_order_seq_cst); }
  // [leave] False: a request came meanwhile, so it is watched on.
  bool leave() {
    unwatch();
    if (look() == Look::kNothing) return true;
    memory_->watched.store(1, std::memory_order_seq_cst);
    return false;
  }

 private:
  [[nodiscard]] Look judge(std::uint32_t posted) const {
    const std::uint32_t waiting = posted - answered_;
    return waiting == 0 ? Look::kNothing : waiting <= kRingEntries ? Look::kRequest : Look::kBroken;
  }

  RingMemory* memory_ = nullptr;
  std::uint32_t answered_ = 0;
};

}  // namespace tensord::shm
