// The slow road: connecting, and whatever takes a question to the daemon. It alone can say that a name
// does not exist. What needs no question is in fast_road.cpp.
#include "client/connection.hpp"
#include "client/broken_daemon.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>

#include "client/fork_guard.hpp"
#include "client/interrupt.hpp"
#include "client/locate.hpp"
#include "os/bell.hpp"
#include "os/crash_point.hpp"
#include "os/memfd.hpp"
#include "os/pages.hpp"
#include "os/socket.hpp"
#include "shm/name_hash.hpp"

namespace tensord::client {
namespace {

namespace bip = boost::interprocess;
using os::crash_point;
using protocol::Access;
using protocol::quoted;

// A live daemon answers Hello in well under a millisecond; a stopped one, or somebody else's
// socket, is told from it by this. Other requests have no deadline: reserving memory takes what it takes.
constexpr std::chrono::milliseconds kHelloTimeout{5000};
// Each round asks the daemon once, and fails if the tensor is gone again by then. Many such rounds mean that
// the name is being replaced faster than we can follow.
constexpr int kMaxAttachRounds = 64;
// Each takes a daemon that dies between accepting a client and greeting it.
constexpr int kMaxHelloRounds = 8;

protocol::Create request_for(const Connection::Wanted& wanted, const PutOptions& options) {
  protocol::Create create;
  create.header.type = protocol::Create::kType;
  create.name.assign(wanted.name);
  create.spec = wanted.spec;
  create.kind = static_cast<std::uint8_t>(options.kind);
  create.lifetime = static_cast<std::uint8_t>(options.lifetime);
  create.replace = options.replace ? 1 : 0;
  create.room_offset_bytes = wanted.room_offset_bytes;
  create.room_bytes = wanted.room_bytes;
  if (wanted.in_room_of != nullptr) {
    create.in_room_of_slot = wanted.in_room_of->slot;
    create.in_room_of_word = wanted.in_room_of->word;
  }
  return create;
}

// Who is turned away finds the reason in his socket, and before it that what he sent behind Hello was not
// read.
os::Received receive_greeting(int socket, std::span<std::byte> buffer) {
  os::Received received = os::receive_message(socket, buffer, 3);
  return received.size_bytes != 0 ? std::move(received) : os::receive_message(socket, buffer, 3);
}

protocol::Abort abort_of(const Connection::Draft& draft) {
  protocol::Abort abort;
  abort.header.type = protocol::Abort::kType;
  abort.slot = draft.slot;
  abort.word = draft.word;
  return abort;
}

}  // namespace

// ---- connecting -------------------------------------------------------------------------------

std::shared_ptr<Connection> Connection::open(os::UniqueFd socket, const std::string& path,
                                             std::shared_ptr<Counters> counters) {
  if (!socket) {
    throw ConnectionLostError("no tensord daemon listens at " + path + ": start one with `tensorctl start`");
  }
  const unsigned server = os::peer_credentials(socket.get()).uid;
  for (int round = 1;; ++round) {
    std::shared_ptr<Connection> connection(new Connection(std::exchange(socket, {}), path, counters));
    if (connection->say_hello()) return connection;
    // A daemon that is kept and died just now is followed by another on the same socket.
    if (round < kMaxHelloRounds) socket = dial(path);
    if (!socket || os::peer_credentials(socket.get()).uid != server) {
      connection->requests_.lost("it hung up instead of answering");
    }
  }
}

Connection::Connection(os::UniqueFd socket, std::string path, std::shared_ptr<Counters> counters)
    : counters_(counters), requests_(std::move(socket), std::move(path), std::move(counters)) {}

Connection::~Connection() = default;

bool Connection::say_hello() {
  const std::string& path = requests_.path();
  protocol::Hello hello;
  hello.header = {protocol::Hello::kType, requests_.next_id()};
  hello.layout_version = shm::kLayoutVersion;
  if (!os::send_message(requests_.socket(), protocol::bytes_of(hello))) return false;
  const std::optional<std::uint32_t> likely_segment = ask_for_likely_segment();
  if (!poll_until(requests_.socket(), POLLIN, kHelloTimeout)) {
    throw TimeoutError("nobody answered at " + path + " within " +
                       std::to_string(kHelloTimeout.count() / 1000) +
                       " s: the daemon is stopped, or this is not a tensord socket");
  }

  // A fresh buffer rather than a HelloReply: whoever answers may not be a tensord at all.
  std::array<std::byte, protocol::kMaxMessageBytes> buffer;
  os::Received received = receive_greeting(requests_.socket(), buffer);
  const auto not_ours = [&] {
    return ConnectionLostError(path +
                               " is not a tensord socket: what listens there does not speak its protocol");
  };
  protocol::ReplyHeader header;
  if (received.size_bytes == 0) return false;
  if (received.truncated || received.size_bytes < sizeof header) throw not_ours();
  std::memcpy(&header, buffer.data(), sizeof header);
  if (header.type != protocol::MessageType::kHello || header.id != hello.header.id) throw not_ours();
  if (received.fds_lost) throw LimitReachedError(no_descriptor_is_free().text);
  if (header.status != Errc::kOk) {
    protocol::ErrorReply error;
    if (received.size_bytes != sizeof error) throw not_ours();
    std::memcpy(&error, buffer.data(), sizeof error);
    throw_error(header.status, std::string(error.text.view()));
  }
  protocol::HelloReply reply;
  if (received.size_bytes != sizeof reply || received.fds.size() != 3) throw not_ours();
  std::memcpy(&reply, buffer.data(), sizeof reply);
  if (reply.magic != protocol::kHelloMagic) throw not_ours();

  os::UniqueFd bell;
  try {
    const os::Memfd catalog = os::Memfd::adopt_sealed(std::move(received.fds[0]));
    const os::Memfd ledger = os::Memfd::adopt_sealed(std::move(received.fds[1]));
    catalog_region_ = os::map(catalog, bip::read_only);
    ledger_region_ = bip::mapped_region(ledger, bip::read_write);
    bell = os::adopt_bell(std::move(received.fds[2]));
  } catch (const std::exception& error) {
    throw ConnectionLostError("cannot map what the daemon at " + path + " sent: " + error.what());
  }
  const auto catalog = shm::CatalogReader::open(
      {static_cast<const std::byte*>(catalog_region_.get_address()), catalog_region_.get_size()});
  if (!catalog)
    throw ConnectionLostError("the daemon at " + path +
                              " sent a catalog of another layout: install the same version of both");
  const auto ledger =
      shm::Ledger::open({static_cast<std::byte*>(ledger_region_.get_address()), ledger_region_.get_size()},
                        catalog->slot_count());
  if (!ledger)
    throw ConnectionLostError("the daemon at " + path +
                              " sent a ledger of another layout: install the same version of both");
  catalog_ = *catalog;
  ledger_ = *ledger;
  freeze_on_fork_.emplace(ledger_);
  requests_.open_ring(
      shm::ring_of({static_cast<std::byte*>(ledger_region_.get_address()), ledger_region_.get_size()},
                   catalog_.slot_count()),
      std::move(bell));
  if (likely_segment) take_likely_segment(*likely_segment);
  crash_point("connect.done");
  return true;
}

std::optional<std::uint32_t> Connection::ask_for_likely_segment() {
  protocol::Grant grant;
  grant.header.type = protocol::Grant::kType;
  grant.segment = 0;
  grant.access = Access::kRead;
  return requests_.begin(std::as_writable_bytes(std::span(&grant, 1)));
}

void Connection::take_likely_segment(std::uint32_t id) {
  protocol::GrantReply reply;
  std::vector<os::UniqueFd> fds;
  const auto refusal = requests_.finish(id, std::as_writable_bytes(std::span(&reply, 1)), fds);
  // There may be none, or none for us.
  if (refusal) return;
  crash_point("attach.granted");
  install(reply.segment, Access::kRead, std::move(fds));
}

// ---- the slow road of attach -------------------------------------------------------------------

Result<View> Connection::attach_asking(std::shared_ptr<Connection> self, std::string_view name, Mode mode,
                                       protocol::IfNone if_none) {
  if (const Result<Done> valid = protocol::check_name(name); !valid) return valid.failure();
  try {
    for (int round = 0; round < kMaxAttachRounds; ++round) {
      const std::uint32_t index = self->find(name, mode, if_none);
      if (std::byte* const data = self->try_slot(index, name, mode)) {
        const shm::Slot& slot = self->catalog_.slot(index);
        const shm::Layout& layout = self->catalog_.tail(index).layout;
        return View(std::move(self), &slot, &layout, data, index, mode);
      }
    }
  } catch (const NotFoundError& error) {
    return Failure{error.code(), error.what()};
  }
  return Failure{Errc::kTimeout,
                 "the tensor " + quoted(name) +
                     " is replaced faster than it can be attached: attach again, or publish less often"};
}

std::uint32_t Connection::find(std::string_view name, Mode mode, protocol::IfNone if_none) {
  protocol::Find find;
  find.header.type = protocol::Find::kType;
  find.name.assign(name);
  find.access = mode == Mode::kReadWrite ? Access::kWrite : Access::kRead;
  find.if_none = if_none;
  std::vector<os::UniqueFd> fds;
  const auto reply = call<protocol::FindReply>(find, &fds);
  if (reply.slot >= catalog_.slot_count()) throw_broken_daemon("the daemon named a slot past the catalog");
  crash_point("attach.granted");
  install(reply.segment, find.access, std::move(fds));
  return reply.slot;
}

void Connection::nudge(std::uint32_t slot) noexcept {
  protocol::Nudge nudge;
  nudge.header.type = protocol::Nudge::kType;
  nudge.slot = slot;
  // Whatever becomes of it: the daemon sweeps dying tensors by itself, only later.
  requests_.hint(std::as_writable_bytes(std::span(&nudge, 1)));
}

const Segment& Connection::segment_of(const shm::Slot& slot) const {
  const Segment* const segment = segments_.find(slot.segment.load(std::memory_order_relaxed));
  if (segment == nullptr) throw_broken_daemon("the catalog's entry for a tensor in use has changed");
  return *segment;
}

std::shared_ptr<std::byte> Connection::map_private(const View& view) {
  const Location location = view.location();
  const Segment& segment = *segments_.find(location.segment);
  struct Mapping {
    View pin;
    bip::mapped_region region;
  };
  // map() takes size 0 for "to the end"; a tensor of no elements still has a cache line.
  const std::size_t size_bytes = std::max<std::size_t>(view.extent_bytes(), 1);
  if (location.offset_bytes >= segment.size_bytes() ||
      size_bytes > segment.size_bytes() - location.offset_bytes) {
    throw_broken_daemon("the catalog's entry for " + quoted(view.name()) + " has changed while it is in use");
  }
  auto mapping = std::make_shared<Mapping>(
      Mapping{view, os::map(segment.memfd(), bip::copy_on_write, location.offset_bytes, size_bytes)});
  auto* const address = static_cast<std::byte*>(mapping->region.get_address());
  return {std::move(mapping), address};
}

// ---- making tensors ---------------------------------------------------------------------------

Connection::Draft Connection::create(std::string_view name, const protocol::TensorSpec& spec,
                                     const PutOptions& options) {
  const Wanted wanted{.name = name, .spec = spec};
  note_lifetime(options.lifetime);
  const protocol::Granted granted = call<protocol::CreateReply>(request_for(wanted, options)).draft;
  crash_point("build.created");
  Draft draft{granted.slot, granted.word, {}, granted.size_bytes};
  try {
    draft.place = map_for_writing(granted, wanted, options.kind == Kind::kLive);
  } catch (...) {
    abort(draft);
    throw;
  }
  return draft;
}

std::vector<Connection::Draft> Connection::create_many(
    std::span<const Wanted> wanted, const PutOptions& options,
    const std::function<void(std::size_t, const Draft&)>& created) {
  std::vector<protocol::Granted> granted;
  std::vector<Draft> drafts;
  granted.reserve(wanted.size());
  drafts.reserve(wanted.size());
  note_lifetime(options.lifetime);
  const auto give_memory = [&](std::size_t i) {
    const bool is_new_live_room = options.kind == Kind::kLive && wanted[i].in_room_of == nullptr;
    drafts[i].place = map_for_writing(granted[i], wanted[i], is_new_live_room);
    created(i, drafts[i]);
  };
  try {
    call_many<protocol::CreateReply, protocol::Create>(
        wanted.size(), [&](std::size_t i) { return request_for(wanted[i], options); },
        [&](std::size_t i, const protocol::CreateReply& reply) {
          granted.push_back(reply.draft);
          drafts.push_back({reply.draft.slot, reply.draft.word, {}, reply.draft.size_bytes});
          // Mapping a segment takes a request, for which this is no time. Behind one that was refused, whose
          // place here is another's, all that is left to do is to abort.
          const bool none_was_refused = granted.size() == i + 1;
          if (none_was_refused && is_mapped_for_writing(reply.draft.segment)) give_memory(i);
        });
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (drafts[i].place.data == nullptr) give_memory(i);
    }
    crash_point("batch.created");
  } catch (...) {
    abort_many(drafts);
    throw;
  }
  return drafts;
}

bool Connection::is_mapped_for_writing(std::uint64_t id) const {
  const Segment* const segment = segments_.find(id);
  return segment != nullptr && segment->base(/*writable=*/true) != nullptr;
}

Destination Connection::map_for_writing(const protocol::Granted& placed, const Wanted& wanted,
                                        bool clear_live_header) {
  if (placed.slot >= catalog_.slot_count()) throw_broken_daemon("the daemon named a slot past the catalog");
  if (placed.size_bytes != value_or_throw(protocol::extent_bytes(wanted.spec))) {
    throw_broken_daemon("the daemon made " + quoted(wanted.name) + " of another size than was asked for");
  }
  if (!is_mapped_for_writing(placed.segment)) grant_writing(placed.segment);
  const Segment* const segment = segments_.find(placed.segment);
  const std::uint64_t header_offset = catalog_.slot(placed.slot).live_header_offset;
  // All of the room is written, not only the tensor.
  const std::uint64_t start = placed.offset - wanted.room_offset_bytes;
  const std::uint64_t room_bytes = std::max(wanted.room_bytes, wanted.room_offset_bytes + placed.size_bytes);
  if (wanted.room_offset_bytes > placed.offset || start > segment->size_bytes() ||
      room_bytes > segment->size_bytes() - start ||
      header_offset > segment->size_bytes() - shm::kLivePrefixBytes) {
    throw_broken_daemon("the daemon placed " + quoted(wanted.name) + " outside of its segment");
  }
  std::byte* const base = segment->base(/*writable=*/true);
  // What an earlier tensor of this namespace left there is not this one's version.
  if (clear_live_header) std::memset(base + header_offset, 0, shm::kLivePrefixBytes);
  return {base + placed.offset, segment->pages()};
}

View Connection::publish(std::shared_ptr<Connection> self, const Draft& draft, const Spare::Sort* sort) {
  // The pin comes first: once published, the tensor may be deleted by anybody at any time.
  self->ledger_.pin(draft.slot);
  crash_point("publish.pinned");
  try {
    protocol::Publish publish;
    publish.header.type = protocol::Publish::kType;
    publish.slot = draft.slot;
    publish.word = draft.word;
    publish.wants_spare = sort != nullptr && self->spare_.is_wanted(*sort) ? 1 : 0;
    const auto reply = self->call<protocol::PublishReply>(publish);
    if (sort != nullptr) self->spare_.keep(*sort, reply.spare);
    crash_point("publish.done");
  } catch (...) {
    self->release(draft.slot);
    throw;
  }
  return view_of(std::move(self), draft.slot);
}

std::vector<View> Connection::publish_many(const std::shared_ptr<Connection>& self,
                                           std::span<const Draft> drafts) {
  std::vector<View> views;
  views.reserve(drafts.size());
  for (const Draft& draft : drafts) self->ledger_.pin(draft.slot);
  crash_point("batch.pinned");
  try {
    using protocol::PublishMany;
    const std::size_t parts = (drafts.size() + PublishMany::kMaxEntries - 1) / PublishMany::kMaxEntries;
    self->call_many<protocol::PublishManyReply, PublishMany>(
        parts,
        [&](std::size_t part) {
          const std::size_t first = part * PublishMany::kMaxEntries;
          const auto rest = drafts.subspan(first);
          PublishMany publish;
          publish.header.type = PublishMany::kType;
          publish.total = static_cast<std::uint32_t>(drafts.size());
          publish.first = static_cast<std::uint32_t>(first);
          publish.count = static_cast<std::uint32_t>(std::min(rest.size(), PublishMany::kMaxEntries));
          for (std::uint32_t i = 0; i < publish.count; ++i) {
            publish.entries[i] = {rest[i].slot, 0, rest[i].word};
          }
          return publish;
        },
        [](std::size_t, const protocol::PublishManyReply&) { crash_point("batch.part_published"); });
    crash_point("batch.published");
  } catch (...) {
    for (const Draft& draft : drafts) self->release(draft.slot);
    throw;
  }
  for (const Draft& draft : drafts) views.push_back(view_of(self, draft.slot));
  return views;
}

View Connection::view_of(std::shared_ptr<Connection> self, std::uint32_t index) {
  const shm::Slot& slot = self->catalog_.slot(index);
  const shm::Layout& layout = self->catalog_.tail(index).layout;
  const bool writable = slot.kind == static_cast<std::uint8_t>(Kind::kLive);
  const Segment& segment = self->segment_of(slot);
  std::byte* const base = segment.base(writable);
  if (base == nullptr || !shm::lies_inside(slot, segment.size_bytes())) {
    throw_broken_daemon("the catalog's entry for a tensor just published points outside of its segment");
  }
  return View(std::move(self), &slot, &layout, base + slot.offset, index,
              writable ? Mode::kReadWrite : Mode::kRead);
}

void Connection::abort(const Draft& draft) noexcept {
  try {
    call<protocol::AbortReply>(abort_of(draft));
  } catch (...) {
    // The daemon drops it when this connection ends.
  }
}

void Connection::abort_many(std::span<const Draft> drafts) noexcept {
  try {
    call_many<protocol::AbortReply, protocol::Abort>(
        drafts.size(), [&](std::size_t i) { return abort_of(drafts[i]); },
        [](std::size_t, const protocol::AbortReply&) {});
  } catch (...) {
  }
}

// Views from before a fork ask, on both sides of it: on one socket they would take each other's replies.
std::shared_ptr<Connection> Connection::open_own() {
  const auto no_forks = hold_off_forks();
  auto own = open(dial(requests_.path()), requests_.path(), counters_);
  if (own->store_id() == store_id()) return own;
  throw ConnectionLostError("the daemon at " + requests_.path() +
                            " was replaced by one with another store: connect() again to use that");
}

Connection::Peer Connection::ask_about(std::uint32_t connection) {
  if (frozen()) return open_own()->ask_about(connection);
  protocol::AskAbout request;
  request.header.type = protocol::AskAbout::kType;
  request.connection = connection;
  const auto reply = call<protocol::AskAboutReply>(request);
  return {reply.connected != 0, reply.pid};
}

void Connection::say_awaited(std::uint32_t slot) noexcept {
  protocol::Await await;
  await.header.type = protocol::Await::kType;
  await.slot = slot;
  await.word = catalog_.slot(slot).load_word().bits;
  try {
    if (frozen()) {
      open_own()->call<protocol::AwaitReply>(await);
    } else {
      requests_.hint(std::as_writable_bytes(std::span(&await, 1)));
    }
  } catch (...) {
    // Who sleeps unheard looks around more often.
  }
}

const std::atomic<std::uint32_t>& Connection::name_event(std::string_view name) const {
  return catalog_.name_event(shm::name_hash(name, catalog_.hash_seed()));
}

void Connection::grant_writing(std::uint64_t segment) {
  protocol::Grant grant;
  grant.header.type = protocol::Grant::kType;
  grant.segment = segment;
  grant.access = Access::kWrite;
  std::vector<os::UniqueFd> fds;
  call<protocol::GrantReply>(grant, &fds);
  install(segment, grant.access, std::move(fds));
}

void Connection::install(std::uint64_t segment, Access access, std::vector<os::UniqueFd> fds) {
  const bool writable = access == Access::kWrite;
  if (fds.size() != (writable ? 2 : 1))
    throw_broken_daemon("the daemon granted a segment without its descriptors");
  try {
    os::Memfd read_only = os::Memfd::adopt_sealed(std::move(fds[0]));
    os::Memfd read_write;
    if (writable) read_write = os::Memfd::adopt_sealed(std::move(fds[1]));
    const std::lock_guard lock(segments_mutex_);
    segments_.install(segment, std::move(read_only), read_write);
  } catch (const std::exception& error) {
    throw InternalError(std::string("cannot map a segment: ") + error.what());
  }
}

}  // namespace tensord::client
