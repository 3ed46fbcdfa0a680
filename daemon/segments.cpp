#include "segments.hpp"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "human.hpp"
#include "log.hpp"
#include "os/pages.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;

namespace bip = boost::interprocess;

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

Failure no_memory(std::uint64_t size_bytes, const std::string& reason) {
  return {Errc::kOutOfSpace, "the system has no memory for a segment of " + human_bytes(size_bytes) + " (" +
                                 reason +
                                 "), although the store's own limit allows it: free some memory, or lower "
                                 "--max-bytes to what the machine really has"};
}

Failure out_of_space(const OutOfSpace& outcome) {
  return {Errc::kOutOfSpace, "out of space: asked " + human_bytes(outcome.asked_bytes) + ", free " +
                                 human_bytes(outcome.free_bytes) + " (largest range " +
                                 human_bytes(outcome.largest_free_bytes) + "), limit " +
                                 human_bytes(outcome.limit_bytes) +
                                 ": delete tensors, drop views of deleted ones, or raise --max-bytes"};
}

}  // namespace

Segments::Segments(asio::io_context& loop, Space space, HugePages huge_pages, Listener listener)
    : space_(std::move(space)),
      huge_pages_(huge_pages),
      asks_for_huge_pages_(choose_huge_pages(huge_pages)),
      listener_(std::move(listener)),
      made_(loop, asio::steady_timer::time_point::max()) {}

Placement Segments::ask_space(Pool pool, std::uint64_t size_bytes, std::uint64_t prefix_bytes) {
  for (;;) {
    Placement placement = space_.place(pool, size_bytes, prefix_bytes);
    const auto* needed = std::get_if<NeedsDrop>(&placement);
    if (needed == nullptr) return placement;
    drop(needed->segments);
  }
}

std::optional<Result<Placed>> Segments::place_now(Pool pool, std::uint64_t size_bytes,
                                                  std::uint64_t prefix_bytes) {
  const Placement placement = ask_space(pool, size_bytes, prefix_bytes);
  if (const auto* placed = std::get_if<Placed>(&placement)) return *placed;
  if (const auto* outcome = std::get_if<OutOfSpace>(&placement)) return out_of_space(*outcome);
  return std::nullopt;
}

std::optional<Placed> Segments::place_if_free(Pool pool, std::uint64_t size_bytes,
                                              std::uint64_t prefix_bytes) {
  const Placement placement = space_.place(pool, size_bytes, prefix_bytes);
  const auto* const placed = std::get_if<Placed>(&placement);
  return placed != nullptr ? std::optional(*placed) : std::nullopt;
}

asio::awaitable<Result<Placed>> Segments::place(Pool pool, std::uint64_t size_bytes,
                                                std::uint64_t prefix_bytes) {
  for (;;) {
    const Placement placement = ask_space(pool, size_bytes, prefix_bytes);
    if (const auto* placed = std::get_if<Placed>(&placement)) co_return *placed;
    if (const auto* outcome = std::get_if<OutOfSpace>(&placement)) co_return out_of_space(*outcome);
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
  // optional: what co_spawn carries from one thread to the other must be default-constructible.
  std::optional<Result<os::Memfd>> made = co_await asio::co_spawn(
      helper_,
      [this, plan, wish = wish_for(plan)]() -> asio::awaitable<std::optional<Result<os::Memfd>>> {
        co_return co_await make_memfd(plan.size_bytes, wish);
      },
      asio::use_awaitable);
  Result<os::Memfd> memfd = std::move(*made);
  if (memfd) {
    memfds_.emplace(*id, std::move(memfd.value()));
    space_.add_segment(*id, plan);
    listener_.added(*id, plan.pool);
  } else {
    space_.reserve_cancel(plan);
    free_indexes_.push_back(protocol::segment_index(*id));
  }
  made_.cancel();
  if (!memfd) {
    log::warning(memfd.failure().text);
    co_return memfd.failure();
  }
  co_return Done{};
}

HugePageWish Segments::wish_for(const SegmentPlan& plan) const {
  using For = HugePageWish::For;
  const auto how_much = [&] {
    if (!asks_for_huge_pages_) return For::kNothing;
    if (huge_pages_ == HugePages::kAlways) return For::kWhateverItTakes;
    return space_.is_worth_keeping(plan) ? For::kUntilRefused : For::kPatience;
  };
  return {how_much(), plan.size_bytes / os::kHugePageBytes};
}

asio::awaitable<Result<os::Memfd>> Segments::make_memfd(std::uint64_t size_bytes, HugePageWish wish) {
  std::uint64_t huge_bytes = 0;
  try {
    os::Memfd memfd = os::Memfd::create("tensord-segment", size_bytes);
    for (std::uint64_t at = 0; at < size_bytes;) {
      const std::uint64_t slice_bytes = std::min(kSliceBytes, size_bytes - at);
      const std::size_t got_bytes = put_huge_pages(memfd, at, slice_bytes, wish);
      huge_bytes += got_bytes;
      // Whatever became of that: from here on there is memory behind every byte, or a clean error.
      try {
        const auto begin = time_spent();
        memfd.reserve(at, slice_bytes);
        if (wish.is_undecided() && got_bytes == 0) {
          const auto reserving = (time_spent() - begin) * os::kHugePageBytes / slice_bytes;
          wish.took_instead(reserving + time_to_touch(memfd, at, slice_bytes));
        }
        at += slice_bytes;
      } catch (const std::system_error& error) {
        // What was dropped for the sake of this segment may be on its way back.
        if (!is_out_of_memory(error) || ending_ == 0) throw;
      }
      co_await asio::post(helper_, asio::use_awaitable);
    }
    memfd.seal_size();
    if (huge_pages_ == HugePages::kAlways && size_bytes - huge_bytes >= os::kHugePageBytes) {
      log::warning("of a segment of " + human_bytes(size_bytes) + " only " + human_bytes(huge_bytes) +
                   " lie on huge pages: the machine has no more (--huge-pages always)");
    }
    co_return memfd;
  } catch (const std::system_error& error) {
    co_return no_memory(size_bytes, error.code().message());
  } catch (const bip::interprocess_exception& error) {
    co_return no_memory(size_bytes, error.what());
  }
}

asio::awaitable<void> Segments::end_memfd(os::Memfd memfd) {
  // Clients may keep an idle segment mapped for long; its memory goes back now all the same.
  for (std::uint64_t at = 0; at < memfd.size_bytes(); at += kSliceBytes) {
    memfd.discard(at, std::min<std::uint64_t>(kSliceBytes, memfd.size_bytes() - at));
    co_await asio::post(helper_, asio::use_awaitable);
  }
  --ending_;
}

std::optional<SegmentId> Segments::next_id() {
  std::uint32_t index = 0;
  if (!free_indexes_.empty()) {
    index = free_indexes_.back();
    free_indexes_.pop_back();
  } else if (untouched_indexes_ < protocol::kMaxSegments) {
    index = untouched_indexes_++;
  } else {
    return std::nullopt;
  }
  return protocol::make_segment_id(++last_serial_, index);
}

void Segments::give_back(const Extent& extent) {
  if (space_.free(extent)) drop(space_.surplus());
}

void Segments::drop(const std::vector<SegmentId>& ids) {
  for (const SegmentId id : ids) {
    listener_.dropped(id);
    space_.drop(id);
    free_indexes_.push_back(protocol::segment_index(id));
    auto memfd = memfds_.extract(id);
    ++ending_;
    asio::co_spawn(helper_, end_memfd(std::move(memfd.mapped())), asio::detached);
  }
}

const os::Memfd* Segments::find(SegmentId id) const {
  const auto found = memfds_.find(id);
  return found == memfds_.end() ? nullptr : &found->second;
}

}  // namespace tensord::daemon
