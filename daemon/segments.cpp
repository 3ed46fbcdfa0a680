#include "segments.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "human.hpp"
#include "inherited.hpp"
#include "log.hpp"
#include "os/crash_point.hpp"
#include "os/pages.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;

namespace bip = boost::interprocess;
using os::crash_point;

// What the helper does before others get their turn: about a millisecond with huge pages, four without. And
// a system that runs out of memory is noticed before all is taken.
constexpr std::uint64_t kSliceBytes = std::uint64_t{16} << 20;
static_assert(kSliceBytes % os::kHugePageBytes == 0);

// Of this thread's processor.
std::chrono::nanoseconds time_spent() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Returns the bytes that lie on huge pages now, from the start of the slice on.
std::size_t put_huge_pages(const os::Memfd& memfd, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                           HugePageWish& wish) {
  if (size_bytes < os::kHugePageBytes || !wish.asks()) return 0;
  const bip::mapped_region slice = os::map(memfd, bip::read_write, offset_bytes, size_bytes);
  auto* const memory = static_cast<std::byte*>(slice.get_address());
  std::size_t done_bytes = 0;
  for (; size_bytes - done_bytes >= os::kHugePageBytes && wish.asks(); done_bytes += os::kHugePageBytes) {
    const auto begin = time_spent();
    if (os::make_huge({memory + done_bytes, os::kHugePageBytes}) == 0) {
      wish.was_refused();
      break;
    }
    wish.took(time_spent() - begin);
  }
  return done_bytes;
}

// What the first write to 2 MiB of small pages takes, judged by a few of them: reserving clears none.
std::chrono::nanoseconds time_to_touch(const os::Memfd& memfd, std::uint64_t offset_bytes,
                                       std::uint64_t size_bytes) {
  constexpr std::size_t kSamples = 32;
  const bip::mapped_region slice = os::map(memfd, bip::read_write, offset_bytes, size_bytes);
  const auto* const memory = static_cast<const volatile std::byte*>(slice.get_address());
  const auto begin = time_spent();
  for (std::size_t i = 0; i < kSamples; ++i) static_cast<void>(memory[size_bytes / kSamples * i]);
  return (time_spent() - begin) / kSamples * (os::kHugePageBytes / kPageBytes);
}

bool is_out_of_memory(const std::system_error& error) {
  return error.code().value() == ENOMEM || error.code().value() == ENOSPC;
}

// "the memory cgroup /a has 3 MiB left of its 64 MiB"
std::string describe(const MemoryRoom& room) {
  return room.of + " has " + human_bytes(room.free_bytes) + " left of its " + human_bytes(room.limit_bytes) +
         " (" + human_bytes(SystemMemory::kept_free_bytes(room.limit_bytes)) + " besides stay free)";
}

Failure out_of_space(const OutOfSpace& outcome, const std::optional<MemoryRoom>& machine) {
  std::string text = "out of space: asked " + human_bytes(outcome.asked_bytes) + ", free " +
                     human_bytes(outcome.free_bytes) + " (largest range " +
                     human_bytes(outcome.largest_free_bytes) + "), limit " + human_bytes(outcome.limit_bytes);
  if (machine) text += "; " + describe(*machine) + ": free memory there";
  text += machine ? ", delete tensors, or drop views of deleted ones"
                  : ": delete tensors, drop views of deleted ones, or raise --max-bytes";
  return {Errc::kOutOfSpace, text};
}

Range range_of(const Extent& extent) { return {extent.offset, extent.size_bytes}; }

}  // namespace

// Bytes that promised_bytes_ counts until they are reserved, or until nobody tries any more.
class Segments::Promise {
 public:
  // Takes over what was added to `total` before.
  Promise(std::atomic<std::uint64_t>& total, std::uint64_t bytes) : total_(total), bytes_(bytes) {}
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
  ~Promise() { keep(bytes_); }
  void keep(std::uint64_t bytes) {
    bytes_ -= bytes;
    total_ -= bytes;
  }

 private:
  std::atomic<std::uint64_t>& total_;
  std::uint64_t bytes_;
};

Segments::Segments(asio::io_context& loop, Space space, Policy policy, Book& book, ServiceManager& manager,
                   Listener listener, SystemMemory memory)
    : space_(std::move(space)),
      policy_(policy),
      memory_(std::move(memory)),
      asks_for_huge_pages_(choose_huge_pages(policy.huge_pages)),
      listener_(std::move(listener)),
      book_(book),
      manager_(manager),
      indexes_(protocol::kMaxSegments),
      made_(loop, asio::steady_timer::time_point::max()) {}

MemoryRoom Segments::machine_room() const {
  MemoryRoom room = memory_.room();
  if (room.free_bytes == Space::kNoBound) return room;
  const std::uint64_t free_bytes = room.free_bytes + ending_bytes_, promised_bytes = promised_bytes_;
  room.free_bytes = free_bytes - std::min(free_bytes, promised_bytes);
  return room;
}

Segments::Answer Segments::ask_space(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes) {
  std::optional<MemoryRoom> machine;
  for (;;) {
    const std::uint64_t machine_bytes = machine ? machine->free_bytes : Space::kNoBound;
    Placement placement = space_.place(pool, size_bytes, prefix_bytes, machine_bytes);
    if (const auto* needed = std::get_if<NeedsDrop>(&placement)) {
      drop(needed->segments);
      machine.reset();  // it will have more
      continue;
    }
    const auto* needed = std::get_if<NeedsSegment>(&placement);
    if (needed != nullptr && policy_.reserve == Reserve::kAhead && !machine) {
      // Asking costs as much as a small segment does, so it is asked only once a segment is wanted.
      machine = machine_room();
      if (needed->plan.size_bytes > machine->free_bytes) continue;
    }
    return {std::move(placement), std::move(machine)};
  }
}

std::optional<Result<Placed>> Segments::place_now(Pool pool, std::uint64_t size_bytes,
                                                  std::uint64_t prefix_bytes) {
  const Answer answer = ask_space(pool, size_bytes, prefix_bytes);
  if (const auto* placed = std::get_if<Placed>(&answer.placement)) {
    if (take(placed->extent)) return *placed;
    give_back(placed->extent);
    return std::nullopt;
  }
  if (const auto* outcome = std::get_if<OutOfSpace>(&answer.placement)) {
    return out_of_space(*outcome, answer.machine);
  }
  return std::nullopt;
}

std::optional<Placed> Segments::place_if_free(Pool pool, std::uint64_t size_bytes,
                                              std::uint64_t prefix_bytes) {
  const Placement placement = space_.place(pool, size_bytes, prefix_bytes);
  const auto* const placed = std::get_if<Placed>(&placement);
  if (placed == nullptr) return std::nullopt;
  if (take(placed->extent)) return *placed;
  give_back(placed->extent);
  return std::nullopt;
}

asio::awaitable<Result<Placed>> Segments::place(Pool pool, std::uint64_t size_bytes,
                                                std::uint64_t prefix_bytes) {
  for (;;) {
    const Answer answer = ask_space(pool, size_bytes, prefix_bytes);
    const Placement& placement = answer.placement;
    if (const auto* placed = std::get_if<Placed>(&placement)) {
      if (take(placed->extent)) co_return *placed;
      const Result<Done> done = co_await put_memory_behind(placed->extent);
      if (done) co_return *placed;
      give_back(placed->extent);
      co_return done.failure();
    }
    if (const auto* outcome = std::get_if<OutOfSpace>(&placement)) {
      co_return out_of_space(*outcome, answer.machine);
    }
    if (const auto* needed = std::get_if<NeedsSegment>(&placement)) {
      const Result<Done> made = co_await make(needed->plan);
      if (!made) co_return made.failure();
    } else {
      boost::system::error_code cancelled;
      co_await made_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }
}

asio::awaitable<Result<Done>> Segments::make(SegmentPlan plan) {
  const std::optional<SegmentId> id = next_id();
  if (!id) {
    co_return Failure{Errc::kLimitReached, "the store has " + std::to_string(protocol::kMaxSegments) +
                                               " segments, which is the limit: delete large tensors"};
  }
  space_.reserve_begin(plan);
  if (policy_.reserve == Reserve::kAhead) promised_bytes_ += plan.size_bytes;
  // optional: what co_spawn carries from one thread to the other must be default-constructible.
  std::optional<Result<os::Memfd>> made = co_await asio::co_spawn(
      helper_,
      [this, plan, wish = wish_for(plan)]() -> asio::awaitable<std::optional<Result<os::Memfd>>> {
        co_return co_await make_memfd(plan.size_bytes, wish);
      },
      asio::use_awaitable);
  Result<os::Memfd> memfd = std::move(*made);
  const Result<Done> added = memfd ? add(*id, std::move(memfd.value()), plan) : memfd.failure();
  if (!added) {
    space_.reserve_cancel(plan);
    indexes_.give_back(protocol::segment_index(*id));
  }
  made_.cancel();
  co_return memfd ? added : out_of_memory(plan.size_bytes, memfd.failure().text);
}

Failure Segments::out_of_memory(std::uint64_t asked_bytes, const std::string& reason) const {
  const SpaceFigures space = space_.figures();
  Failure failure{Errc::kOutOfSpace,
                  "out of space: the system has no memory for " + human_bytes(asked_bytes) + " (" + reason +
                      "), although the store's own limit of " + human_bytes(space.limit_bytes) +
                      " leaves free " + human_bytes(space.free_bytes) + " (largest range " +
                      human_bytes(space.largest_free_bytes) +
                      "): free some memory, or lower --max-bytes to what the machine really has"};
  log::warning(failure.text);
  return failure;
}

Result<Done> Segments::add(SegmentId id, os::Memfd memfd, const SegmentPlan& plan) {
  if (const Result<Done> kept = manager_.keep(kept_segment(id), std::array{memfd.fd()}); !kept) return kept;
  crash_point("segment.kept");
  SegmentEntry& entry = book_.segments()[protocol::segment_index(id)];
  entry.namespace_id = plan.pool.namespace_id;
  entry.kind = static_cast<std::uint8_t>(plan.pool.kind);
  entry.shared = plan.shared ? 1 : 0;
  entry.id.store(id, std::memory_order_release);
  crash_point("segment.entered");
  hold(id, std::move(memfd));
  space_.add_segment(id, plan);
  listener_.added(id, plan.pool);
  return Done{};
}

void Segments::hold(SegmentId id, os::Memfd memfd) {
  Held held{std::make_shared<const os::Memfd>(std::move(memfd)), {}};
  if (policy_.reserve == Reserve::kOnDemand) held.backing.emplace(held.memfd->size_bytes());
  held_.emplace(id, std::move(held));
}

// ---- recovery ---------------------------------------------------------------------------------

void Segments::recover(std::map<SegmentId, os::Memfd> memfds) {
  const auto entries = book_.segments();
  std::uint32_t reached = 0;
  for (auto& [id, memfd] : memfds) {
    const std::uint32_t index = protocol::segment_index(id);
    const SegmentEntry& entry = entries[index];
    const bool sound = entry.id.load(std::memory_order_acquire) == id && entry.kind <= 1 &&
                       memfd.size_bytes() > 0 && memfd.size_bytes() % kPageBytes == 0;
    if (!sound) {  // it was being dropped
      const std::uint64_t size_bytes = memfd.size_bytes();
      end(id, std::make_shared<const os::Memfd>(std::move(memfd)), size_bytes);
      continue;
    }
    const SegmentPlan plan{
        {entry.namespace_id, static_cast<Kind>(entry.kind)}, memfd.size_bytes(), entry.shared != 0};
    reached = std::max(reached, index + 1);
    hold(id, std::move(memfd));
    space_.restore_segment(id, plan);
    listener_.added(id, plan.pool);
  }
  std::vector<bool> taken(reached);
  for (const auto& [id, held] : held_) taken[protocol::segment_index(id)] = true;
  indexes_.restore(reached, [&](std::uint32_t index) {
    if (!taken[index]) entries[index].id.store(0, std::memory_order_relaxed);
    return !taken[index];
  });
}

bool Segments::occupy(const Extent& extent) {
  if (!space_.occupy(extent)) return false;
  if (std::optional<Backing>& backing = held_.at(extent.segment).backing) {
    // It was reserved before the tensor was made.
    change(*backing, [&] {
      backing->take(range_of(extent));
      for (const Range& range : backing->missing(range_of(extent))) backing->has_memory(range);
    });
  }
  return true;
}

void Segments::all_occupied() {
  for (auto& [id, held] : held_) {
    if (!held.backing) continue;
    // Whatever else has memory: it is not known which.
    const Range whole{0, held.memfd->size_bytes()};
    for (const Range& range : held.backing->missing(whole)) {
      held.memfd->discard(range.offset, range.size_bytes);
    }
  }
  drop_surplus();
}

// ---- on the helper ----------------------------------------------------------------------------

HugePageWish Segments::wish_for(const SegmentPlan& plan) const {
  using For = HugePageWish::For;
  const auto how_much = [&] {
    if (!asks_for_huge_pages_) return For::kNothing;
    if (policy_.huge_pages == HugePages::kAlways) return For::kWhateverItTakes;
    return space_.is_worth_keeping(plan) ? For::kUntilRefused : For::kPatience;
  };
  return {how_much(), plan.size_bytes / os::kHugePageBytes};
}

asio::awaitable<Segments::Reserved> Segments::reserve(const os::Memfd& memfd, Range range, HugePageWish& wish,
                                                      Promise* promise) {
  Reserved reserved;
  while (reserved.bytes < range.size_bytes) {
    const std::uint64_t at = range.offset + reserved.bytes;
    const std::uint64_t slice_bytes = std::min(kSliceBytes, range.size_bytes - reserved.bytes);
    std::string refusal;
    try {
      if (const MemoryRoom room = memory_.room(); room.free_bytes < slice_bytes) {
        refusal = describe(room);
      } else {
        const std::size_t got_bytes = put_huge_pages(memfd, at, slice_bytes, wish);
        reserved.huge_bytes += got_bytes;
        // Whatever became of that: from here on there is memory behind every byte, or a clean error.
        const auto begin = time_spent();
        memfd.reserve(at, slice_bytes);
        if (wish.is_undecided() && got_bytes == 0) {
          const auto reserving = (time_spent() - begin) * os::kHugePageBytes / slice_bytes;
          wish.took_instead(reserving + time_to_touch(memfd, at, slice_bytes));
        }
        reserved.bytes += slice_bytes;
        if (promise != nullptr) promise->keep(slice_bytes);
      }
    } catch (const std::system_error& error) {
      refusal = error.code().message();
      if (!is_out_of_memory(error)) reserved.why_not_all = refusal;
    } catch (const bip::interprocess_exception& error) {
      reserved.why_not_all = error.what();
    }
    // What was dropped for the sake of this may be on its way back.
    if (!refusal.empty() && ending_bytes_ == 0) reserved.why_not_all = refusal;
    if (!reserved.why_not_all.empty()) break;
    co_await asio::post(helper_, asio::use_awaitable);
  }
  co_return reserved;
}

bool Segments::warn_of_small_pages(std::uint64_t size_bytes, std::uint64_t huge_bytes) const {
  if (policy_.huge_pages != HugePages::kAlways || size_bytes - huge_bytes < os::kHugePageBytes) return false;
  log::warning("of a segment of " + human_bytes(size_bytes) + " only " + human_bytes(huge_bytes) +
               " lie on huge pages: the machine has no more (--huge-pages always)");
  return true;
}

asio::awaitable<Result<os::Memfd>> Segments::make_memfd(std::uint64_t size_bytes, HugePageWish wish) {
  const bool ahead = policy_.reserve == Reserve::kAhead;
  Promise promise(promised_bytes_, ahead ? size_bytes : 0);
  try {
    os::Memfd memfd = os::Memfd::create("tensord-segment", size_bytes);
    if (ahead) {
      const Reserved reserved = co_await reserve(memfd, {0, size_bytes}, wish, &promise);
      if (!reserved.why_not_all.empty()) co_return Failure{Errc::kOutOfSpace, reserved.why_not_all};
      warn_of_small_pages(size_bytes, reserved.huge_bytes);
    }
    memfd.seal_size();
    co_return memfd;
  } catch (const std::system_error& error) {
    co_return Failure{Errc::kOutOfSpace, error.code().message()};
  }
}

asio::awaitable<void> Segments::end_memfd(std::shared_ptr<const os::Memfd> memfd,
                                          std::uint64_t memory_bytes) {
  // Clients may keep an idle segment mapped for long; its memory goes back now all the same.
  for (std::uint64_t at = 0; at < memfd->size_bytes(); at += kSliceBytes) {
    const std::uint64_t slice_bytes = std::min<std::uint64_t>(kSliceBytes, memfd->size_bytes() - at);
    memfd->discard(at, slice_bytes);
    // On demand more than this may have been holes: then it counts a little longer, until the end.
    const std::uint64_t gone_bytes = memory_bytes == memfd->size_bytes() ? slice_bytes : 0;
    ending_bytes_ -= gone_bytes;
    co_await asio::post(helper_, asio::use_awaitable);
  }
  if (memory_bytes != memfd->size_bytes()) ending_bytes_ -= memory_bytes;
}

// ---- on demand --------------------------------------------------------------------------------

template <class Change>
void Segments::change(Backing& backing, Change&& change_it) {
  idle_bytes_ -= backing.idle_bytes();
  change_it();
  idle_bytes_ += backing.idle_bytes();
}

bool Segments::take(const Extent& extent) {
  std::optional<Backing>& backing = held_.at(extent.segment).backing;
  if (!backing) return true;
  change(*backing, [&] { backing->take(range_of(extent)); });
  return backing->missing(range_of(extent)).empty();
}

asio::awaitable<Result<Done>> Segments::put_memory_behind(Extent extent) {
  Held& held = held_.at(extent.segment);  // stays: the extent is taken
  for (;;) {
    const std::vector<Range> missing = held.backing->missing(range_of(extent));
    std::string why_not_all;
    for (const Range& range : missing) {
      const Reserved reserved = co_await asio::co_spawn(
          helper_,
          [this, &memfd = *held.memfd, range, wish = wish_for({{}, range.size_bytes, true})]() mutable
          -> asio::awaitable<Reserved> { co_return co_await reserve(memfd, range, wish, nullptr); },
          asio::use_awaitable);
      // Once: pieces come all the time.
      if (!said_small_pages_ && reserved.why_not_all.empty()) {
        said_small_pages_ = warn_of_small_pages(range.size_bytes, reserved.huge_bytes);
      }
      if (reserved.bytes > 0) {
        change(*held.backing, [&] { held.backing->has_memory({range.offset, reserved.bytes}); });
      }
      why_not_all = reserved.why_not_all;
      if (!why_not_all.empty()) break;
    }
    if (why_not_all.empty()) co_return Done{};
    if (!reclaim_idle_pieces()) co_return out_of_memory(extent.size_bytes, why_not_all);
  }
}

void Segments::reclaim(SegmentId id, const std::vector<Range>& pieces) {
  Held& held = held_.at(id);
  for (const Range& range : pieces) {
    change(*held.backing, [&] { held.backing->reclaim(range); });
    ending_bytes_ += range.size_bytes;
    // All slices at once and without turns: what is reserved here again comes after them.
    for (std::uint64_t done = 0; done < range.size_bytes; done += kSliceBytes) {
      const Range slice{range.offset + done, std::min(kSliceBytes, range.size_bytes - done)};
      asio::post(helper_, [this, memfd = held.memfd, slice] {
        memfd->discard(slice.offset, slice.size_bytes);
        ending_bytes_ -= slice.size_bytes;
      });
    }
  }
}

bool Segments::reclaim_idle_pieces() {
  if (idle_bytes_ == 0) return false;
  for (const auto& [id, held] : held_) {
    if (held.backing->idle_bytes() > 0) reclaim(id, held.backing->idle());
  }
  return true;
}

// -----------------------------------------------------------------------------------------------

SpaceFigures Segments::figures() const {
  SpaceFigures figures = space_.figures();
  if (policy_.reserve == Reserve::kOnDemand) {
    figures.reserved_bytes = 0;
    for (const auto& [id, held] : held_) figures.reserved_bytes += held.backing->memory_bytes();
  }
  return figures;
}

std::optional<SegmentId> Segments::next_id() {
  const std::optional<std::uint32_t> index = indexes_.take();
  if (!index) return std::nullopt;
  return protocol::make_segment_id(++book_.header().last_segment_serial, *index);
}

void Segments::give_back(const Extent& extent) {
  if (std::optional<Backing>& backing = held_.at(extent.segment).backing) {
    std::vector<Range> idle;
    change(*backing, [&] { idle = backing->leave(range_of(extent)); });
    if (idle_bytes_ > policy_.keep_warm_bytes) reclaim(extent.segment, idle);
  }
  if (space_.free(extent)) drop_surplus();
}

void Segments::drop(const std::vector<SegmentId>& ids) {
  for (const SegmentId id : ids) {
    listener_.dropped(id);
    space_.drop(id);
    book_.segments()[protocol::segment_index(id)].id.store(0, std::memory_order_release);
    crash_point("segment.dropped");
    indexes_.give_back(protocol::segment_index(id));
    auto held = held_.extract(id);
    auto& [memfd, backing] = held.mapped();
    if (backing) idle_bytes_ -= backing->idle_bytes();
    const std::uint64_t memory_bytes = backing ? backing->memory_bytes() : memfd->size_bytes();
    end(id, std::move(memfd), memory_bytes);
  }
}

// Its descriptor is let go of at the very end: a daemon that dies meanwhile leaves the rest to the next one.
void Segments::end(SegmentId id, std::shared_ptr<const os::Memfd> memfd, std::uint64_t memory_bytes) {
  ending_bytes_ += memory_bytes;
  asio::co_spawn(helper_, end_memfd(std::move(memfd), memory_bytes),
                 asio::bind_executor(made_.get_executor(), [this, id](const std::exception_ptr&) {
                   manager_.let_go(kept_segment(id));
                 }));
}

const os::Memfd* Segments::find(SegmentId id) const {
  const auto found = held_.find(id);
  return found == held_.end() ? nullptr : found->second.memfd.get();
}

}  // namespace tensord::daemon
