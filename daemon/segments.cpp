#include <utility>

#include "segments.hpp"

#include <algorithm>
#include <string>
#include <system_error>

#include "human.hpp"
#include "log.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;

// Memory is asked for in slices, so that a system that runs out is noticed before all is taken.
constexpr std::uint64_t kReserveSliceBytes = std::uint64_t{64} << 20;

Result<os::Memfd> make_memfd(std::uint64_t size_bytes) {
  try {
    os::Memfd memfd = os::Memfd::create("tensord-segment", size_bytes);
    for (std::uint64_t at = 0; at < size_bytes; at += kReserveSliceBytes) {
      memfd.reserve(at, std::min(kReserveSliceBytes, size_bytes - at));
    }
    memfd.seal_size();
    return memfd;
  } catch (const std::system_error& error) {
    return Failure{Errc::kOutOfSpace,
                   "the system has no memory for a segment of " + human_bytes(size_bytes) + " (" +
                       error.code().message() +
                       "), although the store's own limit allows it: free some memory, or lower "
                       "--max-bytes to what the machine really has"};
  }
}

Failure out_of_space(const OutOfSpace& outcome) {
  return {Errc::kOutOfSpace, "out of space: asked " + human_bytes(outcome.asked_bytes) + ", free " +
                                 human_bytes(outcome.free_bytes) + " (largest range " +
                                 human_bytes(outcome.largest_free_bytes) + "), limit " +
                                 human_bytes(outcome.limit_bytes) +
                                 ": delete tensors, drop views of deleted ones, or raise --max-bytes"};
}

}  // namespace

Segments::Segments(asio::io_context& loop, Space space, Listener listener)
    : space_(std::move(space)),
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
  Result<os::Memfd> memfd = co_await on_helper(plan.size_bytes);
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

asio::awaitable<Result<os::Memfd>> Segments::on_helper(std::uint64_t size_bytes) {
  // optional: what co_spawn carries from one thread to the other must be default-constructible.
  auto made = co_await asio::co_spawn(
      helper_,
      [size_bytes]() -> asio::awaitable<std::optional<Result<os::Memfd>>> {
        co_return make_memfd(size_bytes);
      },
      asio::use_awaitable);
  co_return std::move(*made);
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
    // Clients may keep an idle segment mapped for long; its memory goes back now all the same.
    asio::post(helper_, [memfd = std::move(memfd.mapped())] { memfd.discard_contents(); });
  }
}

const os::Memfd* Segments::find(SegmentId id) const {
  const auto found = memfds_.find(id);
  return found == memfds_.end() ? nullptr : &found->second;
}

}  // namespace tensord::daemon
