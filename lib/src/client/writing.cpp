// What View and Writing offer of versions; the waiting itself is in live.cpp.
#include <exception>
#include <string>
#include <utility>

#include <tensord/view.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/live.hpp"
#include "protocol/tensor_spec.hpp"
#include "shm/live_header.hpp"
#include "shm/slot.hpp"

namespace tensord {

using shm::LiveHeader;
using shm::LiveWord;

namespace {

// Only what the header says of a version may be kept across calls; two 32-bit halves in one number.
std::uint64_t packed(LiveWord word) { return std::uint64_t{word.writer} << 32 | word.sequence; }
LiveWord unpacked(std::uint64_t bits) {
  return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
}

}  // namespace

// Sub-views and tensors that share their memory share the header, wherever their first element is.
LiveHeader& View::live_header() const {
  const std::uint64_t offset = slot_->live_header_offset;
  std::byte* const base = segment_base();
  if (base == nullptr || offset > connection_->segment_of(*slot_).size_bytes() - shm::kLivePrefixBytes ||
      offset % alignof(LiveHeader) != 0) {
    client::throw_broken_daemon("the catalog's entry for " + protocol::quoted(name()) +
                                " has changed while it is in use");
  }
  return *reinterpret_cast<LiveHeader*>(base + offset);
}

client::LiveTensor View::live_tensor() const {
  LiveHeader& header = live_header();
  return {*connection_, header, mode_ == Mode::kReadWrite ? &header : nullptr, index_};
}

std::uint64_t View::version() const {
  return kind() == Kind::kLive ? live_header().version.load(std::memory_order_acquire) : 0;
}

std::uint64_t View::wait(std::uint64_t after, std::chrono::nanoseconds timeout) const {
  if (kind() != Kind::kLive) {
    throw InvalidArgumentError("the tensor " + protocol::quoted(name()) +
                               " is sealed and gets no new version; wait for live tensors");
  }
  return client::await_version(live_tensor(), after, client::Deadline(timeout));
}

Writing View::writing(std::chrono::nanoseconds timeout, bool repair) const {
  static_cast<void>(mutable_data());  // throws if the view is read-only
  View view = *this;
  const LiveWord held = client::begin_writing(live_tensor(), repair, client::Deadline(timeout));
  return Writing(std::move(view), packed(held));
}

Writing::Writing(View view, std::uint64_t held) noexcept
    : view_(std::move(view)), held_(held), exceptions_(std::uncaught_exceptions()) {}

Writing::Writing(Writing&& other) noexcept = default;

Writing::~Writing() {
  if (!view_) return;
  if (std::uncaught_exceptions() > exceptions_) {
    give_up();
  } else {
    end();
  }
}

template <class How>
void Writing::leave(How&& how) noexcept {
  if (!view_) return;
  try {
    how(view_.live_header(), unpacked(held_));
  } catch (const InternalError&) {
    // A daemon gone mad took the header away: there is nobody to tell.
  }
  view_.reset();
}

void Writing::end() noexcept { leave(client::end_writing); }
void Writing::give_up() noexcept { leave(client::give_up_writing); }

}  // namespace tensord
