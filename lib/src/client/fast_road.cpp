// The fast road: attach and detach without a system call, a lock or the daemon.
//
// The index names a slot that may hold the tensor; we add a pin to our ledger, and only then read the
// slot's word. If it says Published, and the segment is one that was granted to us, the daemon cannot
// have looked at our ledger before the pin was there (shm/slot.hpp, [pin], [mark], [granted]), so
// everything in the slot stands still until we let go. If it says anything else, or the name differs,
// the pin is taken back and nothing was read; then the daemon is asked (connection.cpp).
//
// All of it is in this one file, from Store::attach to the end of a View, so that the compiler sees it
// whole: across files, half of the time went into handing views over.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <tensord/store.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/store_state.hpp"
#include "os/crash_point.hpp"
#include "shm/name_hash.hpp"

namespace tensord::client {

using os::crash_point;
using protocol::quoted;

// ---- pins ---------------------------------------------------------------------------------------

std::byte* Connection::try_slot(std::uint32_t index, std::string_view name, Mode mode) {
  const shm::Slot& slot = catalog_.slot(index);
  // The pin is a full barrier; what it will reveal is fetched while it takes effect.
  __builtin_prefetch(&slot);
  __builtin_prefetch(slot.name);

  const std::uint32_t views_before = ledger_.pin(index);
  crash_point("attach.pinned");
  const shm::SlotWord word = slot.load_word();
  const bool writable = mode == Mode::kReadWrite;
  const Segment* segment = nullptr;
  std::byte* base = nullptr;
  if (word.state() == shm::SlotState::kPublished) {
    segment = segments_.find(slot.segment.load(std::memory_order_acquire));
    if (segment != nullptr) base = segment->base(writable);
  }
  // [granted] The segment is mapped, so our pin counts, so from here on the slot stands still: if it
  // is still the tensor whose segment we read.
  if (base == nullptr || slot.load_word() != word || !shm::has_name(slot, catalog_.tail(index), name)) {
    release(index);
    return nullptr;
  }
  const bool inside = shm::lies_inside(slot, segment->size_bytes());
  const bool allowed = !writable || slot.kind == static_cast<std::uint8_t>(Kind::kLive);
  if (views_before >= shm::kMaxPinsPerSlot || !allowed || !inside) [[unlikely]] {
    release(index);
    if (!inside)
      throw_broken_daemon("the catalog's entry for " + quoted(name) + " points outside of its segment");
    if (!allowed) {
      throw PermissionDeniedError(
          "the tensor " + quoted(name) +
          " is sealed and cannot be attached \"r+\": attach it \"r\", or put it as live");
    }
    throw LimitReachedError("this connection holds " + std::to_string(views_before) + " views of " +
                            quoted(name) + ", which is the limit: drop some");
  }
  return base + slot.offset;
}

void Connection::pin_again(std::uint32_t slot) {
  // Pinned already, by the view that is copied: no check needed.
  if (ledger_.pin(slot) >= shm::kMaxPinsPerSlot) {
    release(slot);
    throw LimitReachedError("this connection holds too many views of one tensor: drop some");
  }
}

void Connection::release(std::uint32_t index) noexcept {
  if (ledger_.unpin(index) != 0) return;
  crash_point("detach.unpinned");
  if (catalog_.slot(index).load_word().state() == shm::SlotState::kDying) [[unlikely]]
    nudge(index);
}

}  // namespace tensord::client

namespace tensord {

// ---- views: one pin each --------------------------------------------------------------------------

View::View(std::shared_ptr<client::Connection> connection, const shm::Slot* slot, const shm::Layout* layout,
           std::byte* data, std::uint32_t index, Mode mode) noexcept
    : connection_(std::move(connection)),
      slot_(slot),
      layout_(layout),
      data_(data),
      index_(index),
      mode_(mode),
      // Looked at once more since it was checked; a daemon gone mad may have written something else.
      ndim_(std::min(slot->ndim, std::uint8_t{kMaxDims})) {}

View::View(const View& other)
    : connection_(other.connection_),
      slot_(other.slot_),
      layout_(other.layout_),
      data_(other.data_),
      index_(other.index_),
      mode_(other.mode_),
      ndim_(other.ndim_),
      owns_layout_(other.owns_layout_) {
  if (slot_ == nullptr) return;
  auto own = owns_layout_ ? std::make_unique<shm::Layout>(*other.layout_) : nullptr;
  connection_->pin_again(index_);
  if (own != nullptr) layout_ = own.release();
}

void View::reset() noexcept {
  if (slot_ == nullptr) return;
  connection_->release(index_);
  if (owns_layout_) delete layout_;
  slot_ = nullptr;
  data_ = nullptr;
  connection_.reset();
}

// ---- attach ---------------------------------------------------------------------------------------

View client::Connection::attach_mapped(std::shared_ptr<Connection>& self, std::string_view name, Mode mode) {
  const shm::CatalogReader& catalog = self->catalog_;
  std::uint32_t index = 0;
  std::byte* data = nullptr;
  catalog.find(shm::name_hash(name, catalog.hash_seed()), [&](std::uint32_t candidate) {
    index = candidate;
    data = self->try_slot(candidate, name, mode);
    return data != nullptr;
  });
  if (data == nullptr) return {};
  const shm::Slot& slot = catalog.slot(index);
  const shm::Layout& layout = catalog.tail(index).layout;
  return View(std::move(self), &slot, &layout, data, index, mode);
}

// Flattened: its calls are compiled into it, which saves a quarter of its time on a warm tensor.
[[gnu::flatten]] View Store::attach(std::string_view name, Mode mode) const {
  auto connection = state_->connection();
  View view = client::Connection::attach_mapped(connection, name, mode);
  if (!view) [[unlikely]] {
    view = value_or_throw(client::Connection::attach_asking(std::move(connection), name, mode));
  }
  return view;
}

}  // namespace tensord
