#include "client/spare.hpp"

#include <utility>

#include <tensord/error.hpp>

#include "client/connection.hpp"
#include "os/crash_point.hpp"

namespace tensord::client {

std::optional<protocol::Granted> Spare::take(const Sort& sort) {
  const std::lock_guard lock(mutex_);
  if (spare_.word == 0 || !is_last_sort(sort)) return std::nullopt;
  return std::exchange(spare_, {});
}

bool Spare::is_wanted(const Sort& sort) {
  const std::lock_guard lock(mutex_);
  if (is_last_sort(sort)) return true;
  // A spare of another sort is forgotten here; the daemon takes it back when it is not used.
  spare_ = {};
  space_ = sort.space;
  kind_ = sort.kind;
  size_bytes_ = sort.size_bytes;
  return false;
}

void Spare::keep(const Sort& sort, const protocol::Granted& spare) {
  const std::lock_guard lock(mutex_);
  if (spare.word != 0 && is_last_sort(sort)) spare_ = spare;
}

View Connection::put_into_spare(const std::shared_ptr<Connection>& self, std::string_view name,
                                const protocol::TensorSpec& spec, const PutOptions& options,
                                const Spare::Sort& sort,
                                const std::function<void(const Destination&)>& fill) {
  const auto spare = self->spare_.take(sort);
  // Before its segment was granted to us a pin counts for nothing; it mostly is that of the last put.
  if (!spare || spare->slot >= self->catalog_.slot_count() || !self->is_mapped_for_writing(spare->segment))
    return {};
  // The pin that the view will have. Whoever takes the spare back marks its slot first and then looks for
  // pins.
  self->ledger_.pin(spare->slot);
  os::crash_point("spare.pinned");
  if (self->catalog_.slot(spare->slot).load_word().bits != spare->word) {
    self->release(spare->slot);
    return {};
  }
  try {
    fill(self->map_for_writing(*spare, {.name = name, .spec = spec}, options.kind == Kind::kLive));
    protocol::PublishSpare publish;
    publish.header.type = protocol::PublishSpare::kType;
    publish.name.assign(name);
    publish.spec = spec;
    publish.lifetime = static_cast<std::uint8_t>(options.lifetime);
    publish.replace = options.replace ? 1 : 0;
    publish.wants_spare = self->spare_.is_wanted(sort) ? 1 : 0;
    publish.slot = spare->slot;
    publish.word = spare->word;
    self->note_lifetime(options.lifetime);
    const auto reply = self->call<protocol::PublishReply>(publish);
    self->spare_.keep(sort, reply.spare);
    os::crash_point("spare.published");
  } catch (const NotFoundError&) {
    self->release(spare->slot);
    return {};
  } catch (...) {
    self->spare_.keep(sort, *spare);
    self->release(spare->slot);
    throw;
  }
  return view_of(self, spare->slot);
}

}  // namespace tensord::client
