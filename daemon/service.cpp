#include <utility>

#include "service.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <system_error>

#include <tensord/version.hpp>

#include "human.hpp"
#include "log.hpp"
#include "os/crash_point.hpp"
#include "shm/live_header.hpp"
#include "shm/slot.hpp"

namespace tensord::daemon {
namespace {

namespace asio = boost::asio;
using os::crash_point;
using protocol::quoted;

// Nudges tell of almost every end; a lost one (the client was killed between its last pin and the
// message, or its socket was full) is made up for by this.
constexpr std::chrono::milliseconds kSweepInterval{200};

// A put of more takes longer for copying than a request, whatever it waits for, and would leave more behind.
constexpr std::uint64_t kMaxSpareBytes = std::uint64_t{4} << 20;
// Taken back after one to two of these without a put.
constexpr std::chrono::milliseconds kSpareIdleInterval{1000};

// The part of Create about the room, with `wanted.size_bytes` known.
Result<Done> ask_for_room(const protocol::Create& request, NewTensor& wanted) {
  wanted.room_offset_bytes = request.room_offset_bytes;
  // Readers take an element for what it is, and their processors may not like it elsewhere.
  if (const std::size_t unit = protocol::alignment_of(wanted.spec.dtype);
      wanted.room_offset_bytes % unit != 0) {
    return Failure{Errc::kInvalidArgument,
                   quoted(wanted.name) + " cannot begin " + std::to_string(wanted.room_offset_bytes) +
                       " bytes after the start of its room, because its elements are aligned to " +
                       std::to_string(unit) + " bytes: align the array, or put it by itself"};
  }
  if (request.in_room_of_word != 0) {
    wanted.in_room_of = Draft{request.in_room_of_slot, request.in_room_of_word};
    return Done{};  // the registry knows how large that room is
  }
  std::uint64_t end_bytes = 0;
  const bool overflows = __builtin_add_overflow(wanted.room_offset_bytes, wanted.size_bytes, &end_bytes);
  if (overflows || (request.room_bytes != 0 && request.room_bytes < end_bytes)) {
    return Failure{Errc::kInvalidArgument, "the room that " + quoted(wanted.name) +
                                               " asks for is too small for the tensor itself: ask for more"};
  }
  wanted.room_bytes = std::max(request.room_bytes, end_bytes);
  return Done{};
}

std::uint64_t prefix_bytes(Kind kind) { return kind == Kind::kLive ? shm::kLivePrefixBytes : 0; }

// What Create and PublishSpare have in common, checked.
template <class Request>
Result<NewTensor> describe(const Request& request) {
  NewTensor wanted;
  wanted.name = request.name.view();
  wanted.spec = request.spec;
  wanted.lifetime = static_cast<Lifetime>(request.lifetime);
  wanted.replace = request.replace != 0;
  if (const Result<Done> valid = protocol::check_name(wanted.name); !valid) return valid.failure();
  if (request.lifetime > 1 || request.replace > 1) {
    return Failure{Errc::kInvalidArgument, "lifetime and replace are 0 or 1 each"};
  }
  const Result<std::uint64_t> size_bytes = protocol::extent_bytes(wanted.spec);
  if (!size_bytes) return size_bytes.failure();
  wanted.size_bytes = size_bytes.value();
  return wanted;
}

Space space_for(const Options& options) {
  // Address space costs nothing, and a segment costs each client a descriptor and a mapping.
  return {options.max_bytes, options.keep_warm_bytes,
          options.reserve == Reserve::kOnDemand ? kMaxSharedSegmentBytes : kFirstSegmentBytes};
}

std::string versions(std::uint32_t protocol, std::uint32_t layout) {
  return "protocol " + std::to_string(protocol) + ", layout " + std::to_string(layout);
}

}  // namespace

Service::Service(asio::io_context& loop, const Options& options, ServiceManager& manager,
                 std::optional<Inherited> inherited, std::function<void(End)> end)
    : options_(options),
      manager_(manager),
      end_(std::move(end)),
      memory_(inherited ? StoreMemory(*inherited) : StoreMemory(options.max_tensors, manager)),
      header_(memory_.header()),
      book_(memory_.open_book()),
      registry_(
          memory_.catalog_writer(), book_, options.namespace_mode,
          [this](const Extent& extent) { segments_.give_back(extent); }, options.per_user),
      segments_(loop, space_for(options), {options.huge_pages, options.reserve, options.keep_warm_bytes},
                book_, manager,
                {[this](SegmentId id, Pool pool) { registry_.segment_added(id, pool); },
                 [this](SegmentId id) { registry_.segment_dropped(id); }}),
      catalog_pages_(memory_.catalog_bytes(), header_.slots_offset,
                     segments_.asks_for_huge_pages()
                         ? [this](std::function<void()> work) { segments_.on_helper(std::move(work)); }
                         : CatalogPages::Run()),
      ledgers_(loop, header_.slot_count),
      sweeps_(
          loop, kSweepInterval, [this] { return registry_.anything_dying(); }, [this] { registry_.sweep(); }),
      idle_spares_(
          loop, kSpareIdleInterval, [this] { return registry_.any_spares(); },
          [this] {
            registry_.take_back_idle_spares();
            sweeps_.while_needed();
          }) {
  if (inherited) recover(std::move(*inherited));
}

// ---- coming and going -------------------------------------------------------------------------

Result<Service::Welcome> Service::welcome(const Credentials& who, const protocol::Hello& hello, int socket) {
  if (hello.protocol_version != protocol::kProtocolVersion || hello.layout_version != shm::kLayoutVersion) {
    return Failure{Errc::kVersionMismatch, "the daemon (tensord " + std::string(kVersion) + ") speaks " +
                                               versions(protocol::kProtocolVersion, shm::kLayoutVersion) +
                                               ", the client " +
                                               versions(hello.protocol_version, hello.layout_version) +
                                               ": install the same version of both"};
  }
  if (connected_.size() >= options_.max_connections) {
    return Failure{Errc::kLimitReached,
                   "the daemon serves " + std::to_string(options_.max_connections) +
                       " connections, which is its limit: raise --max-connections, or close some"};
  }
  if (const Result<Done> allowed = registry_.quotas().may_connect(who.uid); !allowed) {
    return allowed.failure();
  }
  Ledgers::Fresh ledger;
  Welcome welcome;
  try {
    ledger = ledgers_.take();
    welcome.fds[0] = memory_.catalog().open_read_only();
  } catch (const std::exception& error) {
    return Failure{Errc::kInternal,
                   std::string("the daemon cannot make a ledger (see its log): ") + error.what()};
  }
  welcome.client = registry_.add_client(who, shm::LedgerScanner(ledger.bytes(), slot_count()));
  shm::format_ledger(ledger.bytes(), slot_count(), welcome.client);
  crash_point("client.entered");
  const std::array fds{socket, ledger.memfd.fd(), ledger.bell.get()};
  if (const Result<Done> kept = manager_.keep(kept_client(welcome.client), fds); !kept) {
    registry_.remove_client(welcome.client);
    return kept.failure();
  }
  crash_point("client.kept");
  welcome.ring = shm::RingServer(shm::ring_of(ledger.bytes(), slot_count()));
  connected_.emplace(welcome.client, Connected{who, std::move(ledger.region)});
  welcome.fds[1] = std::move(ledger.memfd).release();
  welcome.fds[2] = std::move(ledger.bell);
  welcome.reply = hello_reply();
  return welcome;
}

Service::Welcome Service::welcome_again(const Returning& returning, int bell) {
  Welcome welcome;
  welcome.client = returning.client;
  welcome.fds[0] = memory_.catalog().open_read_only();
  welcome.fds[1] = returning.ledger.duplicate();
  welcome.fds[2] = os::duplicate(bell);
  welcome.reply = hello_reply();
  return welcome;
}

protocol::HelloReply Service::hello_reply() const {
  protocol::HelloReply reply;
  reply.protocol_version = protocol::kProtocolVersion;
  reply.layout_version = shm::kLayoutVersion;
  reply.slot_count = slot_count();
  reply.daemon_pid = static_cast<std::uint32_t>(::getpid());
  return reply;
}

void Service::farewell(ClientId client) {
  registry_.remove_client(client);
  connected_.erase(client);
  crash_point("client.gone");
  manager_.let_go(kept_client(client));
  sweeps_.while_needed();
}

// ---- tensors ----------------------------------------------------------------------------------

Result<Service::Admitted> Service::admit(ClientId client, const protocol::Create& request) {
  Result<NewTensor> described = describe(request);
  if (!described) return described.failure();
  if (request.kind > 1) return Failure{Errc::kInvalidArgument, "kind is 0 or 1"};
  NewTensor& wanted = described.value();
  wanted.kind = static_cast<Kind>(request.kind);
  if (const Result<Done> fits = ask_for_room(request, wanted); !fits) return fits.failure();

  const Result<Pool> pool = registry_.admit(client, wanted);
  if (!pool) return pool.failure();
  const std::uint64_t prefix = prefix_bytes(wanted.kind);
  return Admitted{std::move(wanted), pool.value(), prefix};
}

Result<protocol::CreateReply> Service::place(ClientId client, const Admitted& admitted,
                                             const Result<Placed>& placed) {
  if (!placed) return placed.failure();
  const Result<SlotIndex> slot = registry_.begin(client, admitted.wanted, admitted.pool, placed.value());
  if (!slot) segments_.give_back(placed.value().extent);
  return created(slot);
}

std::optional<Result<protocol::CreateReply>> Service::create_now(ClientId client,
                                                                 const protocol::Create& request) {
  if (was_done(client, request.header) && registry_.builds(client, done_before_.slot)) {
    return created(done_before_.slot);
  }
  const Result<Admitted> admitted = admit(client, request);
  if (!admitted) return admitted.failure();
  const auto& [wanted, pool, prefix_bytes] = admitted.value();
  if (wanted.in_room_of) return created(registry_.join(client, wanted, pool));
  auto placed = segments_.place_now(pool, wanted.room_bytes, prefix_bytes);
  if (placed && !*placed && registry_.take_back_spares()) {
    placed = segments_.place_now(pool, wanted.room_bytes, prefix_bytes);
  }
  if (!placed) return std::nullopt;
  return place(client, admitted.value(), *placed);
}

asio::awaitable<Result<protocol::CreateReply>> Service::create(ClientId client, protocol::Create request) {
  const Result<Admitted> admitted = admit(client, request);
  if (!admitted) co_return admitted.failure();
  const auto& [wanted, pool, prefix_bytes] = admitted.value();
  Result<Placed> placed = co_await segments_.place(pool, wanted.room_bytes, prefix_bytes);
  if (!placed && registry_.take_back_spares()) {
    placed = co_await segments_.place(pool, wanted.room_bytes, prefix_bytes);
  }
  book_.take_in_hand(client, request.header);  // others were, meanwhile
  co_return place(client, admitted.value(), placed);
}

Result<protocol::CreateReply> Service::created(const Result<SlotIndex>& slot) {
  if (!slot) return slot.failure();
  catalog_pages_.reach(slot.value());
  return protocol::CreateReply{{}, granted(slot.value())};
}

protocol::Granted Service::granted(SlotIndex slot) const {
  const Tensor& tensor = registry_.tensor(slot);
  return {slot, 0, registry_.word(slot), tensor.room->extent.segment, tensor.offset_bytes, tensor.size_bytes};
}

Result<protocol::PublishReply> Service::publish(ClientId client, const protocol::Publish& request) {
  if (request.wants_spare > 1) return Failure{Errc::kInvalidArgument, "wants_spare is 0 or 1"};
  if (was_done(client, request.header)) return protocol::PublishReply{};
  const Result<Done> done = registry_.publish(client, request.slot, request.word);
  sweeps_.while_needed();
  if (!done) return done.failure();
  return published(client, request.slot, request.wants_spare != 0);
}

Result<protocol::PublishReply> Service::publish_spare(ClientId client,
                                                      const protocol::PublishSpare& request) {
  if (request.wants_spare > 1) return Failure{Errc::kInvalidArgument, "wants_spare is 0 or 1"};
  const Result<NewTensor> wanted = describe(request);
  if (!wanted) return wanted.failure();
  if (was_done(client, request.header)) return protocol::PublishReply{};
  const Result<Done> done = registry_.publish_spare(client, {request.slot, request.word}, wanted.value());
  sweeps_.while_needed();
  if (!done) return done.failure();
  return published(client, request.slot, request.wants_spare != 0);
}

protocol::PublishReply Service::published(ClientId client, SlotIndex slot, bool wants_spare) {
  return {{}, wants_spare ? grant_spare(client, slot) : protocol::Granted{}};
}

protocol::Granted Service::grant_spare(ClientId client, SlotIndex like) {
  const Tensor& model = registry_.tensor(like);
  if (model.size_bytes > kMaxSpareBytes || model.room->tensors != 1) return {};
  const auto placed =
      segments_.place_if_free({model.namespace_id, model.kind}, model.size_bytes, prefix_bytes(model.kind));
  if (!placed) return {};
  const auto spare = registry_.grant_spare(client, like, *placed);
  if (!spare) {
    segments_.give_back(placed->extent);
    return {};
  }
  catalog_pages_.reach(*spare);
  idle_spares_.while_needed();
  return granted(*spare);
}

Result<protocol::PublishManyReply> Service::publish_many(ClientId client,
                                                         const protocol::PublishMany& request) {
  if (was_done(client, request.header)) return protocol::PublishManyReply{};
  std::vector<Draft> batch = std::exchange(connected_.at(client).batch, {});
  const bool may_repeat = std::exchange(connected_.at(client).batch_is_recovered, false);
  if (request.first < batch.size() && (request.first == 0 || may_repeat)) {
    forget_batch(client, std::span(batch).subspan(request.first));
    batch.resize(request.first);
  }
  const std::size_t drafts = registry_.drafts_of(client);
  if (request.first != batch.size() || request.count == 0 || request.count > request.entries.size() ||
      request.total > drafts || request.first + request.count > request.total) {
    forget_batch(client, batch);
    return Failure{Errc::kInvalidArgument,
                   "a batch of " + std::to_string(request.total) + " tensors, of which " +
                       std::to_string(batch.size()) + " came before, does not go on with " +
                       std::to_string(request.count) + " from " + std::to_string(request.first) +
                       " on; this connection is building " + std::to_string(drafts)};
  }
  for (std::uint32_t i = 0; i < request.count; ++i) {
    batch.push_back({request.entries[i].slot, request.entries[i].word});
    registry_.note_batch(client, batch.back(), static_cast<std::uint32_t>(batch.size()));
  }
  if (batch.size() < request.total) {
    connected_.at(client).batch = std::move(batch);
    return protocol::PublishManyReply{};
  }
  const Result<Done> done = registry_.publish_many(client, batch);
  sweeps_.while_needed();
  if (done) return protocol::PublishManyReply{};
  forget_batch(client, batch);
  return done.failure();
}

void Service::forget_batch(ClientId client, std::span<const Draft> batch) {
  for (const Draft& draft : batch) registry_.note_batch(client, draft, 0);
}

Result<protocol::AbortReply> Service::abort(ClientId client, const protocol::Abort& request) {
  if (was_done(client, request.header)) return protocol::AbortReply{};
  const Result<Done> done = registry_.abort(client, request.slot, request.word);
  sweeps_.while_needed();
  if (!done) return done.failure();
  return protocol::AbortReply{};
}

Result<protocol::DeleteReply> Service::remove(ClientId client, const protocol::Delete& request) {
  if (was_done(client, request.header)) return protocol::DeleteReply{};
  const Result<Done> done = registry_.remove(client, request.name.view());
  sweeps_.while_needed();
  if (!done) return done.failure();
  return protocol::DeleteReply{};
}

Result<protocol::FindReply> Service::find(ClientId client, const protocol::Find& request,
                                          std::vector<os::UniqueFd>& fds) {
  const Result<SlotIndex> slot = registry_.find(request.name.view(), request.if_none);
  if (!slot) return slot.failure();
  const Tensor& tensor = registry_.tensor(slot.value());
  if (request.access == protocol::Access::kWrite && tensor.kind != Kind::kLive) {
    return Failure{Errc::kPermissionDenied, "the tensor " + quoted(tensor.name) +
                                                " is sealed and cannot be attached " +
                                                "\"r+\": attach it \"r\", or put it as live"};
  }
  if (request.access != protocol::Access::kNone) {
    const Result<Done> granted = grant_segment(client, tensor.room->extent.segment, request.access, fds);
    if (!granted) return granted.failure();
  }
  protocol::FindReply reply;
  reply.slot = slot.value();
  reply.owner_uid = tensor.owner;
  reply.segment = tensor.room->extent.segment;
  reply.size_bytes = tensor.size_bytes;
  reply.created_unix_ns = tensor.created_unix_ns;
  reply.spec = tensor.spec;
  reply.kind = static_cast<std::uint8_t>(tensor.kind);
  reply.lifetime = static_cast<std::uint8_t>(tensor.lifetime);
  return reply;
}

Result<protocol::GrantReply> Service::grant(ClientId client, const protocol::Grant& request,
                                            std::vector<os::UniqueFd>& fds) {
  const bool likely = request.segment == 0 && request.access == protocol::Access::kRead;
  const SegmentId segment = likely ? last_granted_ : request.segment;
  const Result<Done> granted = grant_segment(client, segment, request.access, fds);
  if (!granted) return granted.failure();
  protocol::GrantReply reply;
  reply.segment = segment;
  reply.size_bytes = segments_.find(segment)->size_bytes();
  return reply;
}

Result<Done> Service::grant_segment(ClientId client, SegmentId segment, protocol::Access access,
                                    std::vector<os::UniqueFd>& fds) {
  const bool writable = access == protocol::Access::kWrite;
  if (!writable && access != protocol::Access::kRead) {
    return Failure{Errc::kInvalidArgument, "access is 1 (read) or 2 (write)"};
  }
  // The right to write does not imply the right to read, yet a writable mapping reads.
  for (const Right right : {Right::kRead, Right::kWrite}) {
    if (right == Right::kWrite && !writable) continue;
    if (const Result<Done> done = registry_.grant(client, segment, right); !done) return done;
  }
  const os::Memfd& memfd = *segments_.find(segment);
  last_granted_ = segment;
  try {
    fds.push_back(memfd.open_read_only());
    if (writable) fds.push_back(memfd.duplicate());
  } catch (const std::system_error& error) {
    fds.clear();
    return Failure{Errc::kInternal,
                   std::string("the daemon cannot open a segment again (see its log): ") + error.what()};
  }
  return Done{};
}

void Service::nudge(const protocol::Nudge& request) { registry_.nudge(request.slot); }

void Service::await(ClientId client, const protocol::Await& request) {
  const Room* const room = registry_.live_room(client, {request.slot, request.word});
  if (room == nullptr) return;
  // Written through the descriptor: the daemon maps no tensor.
  constexpr std::uint32_t kAwaited = 1;
  segments_.find(room->extent.segment)
      ->write(room->offset_bytes - shm::kLivePrefixBytes + offsetof(shm::LiveHeader, awaited),
              std::as_bytes(std::span(&kAwaited, 1)));
}

// ---- the end ----------------------------------------------------------------------------------

Result<protocol::ShutdownReply> Service::shutdown(ClientId client, const protocol::Shutdown& request) {
  const Credentials& who = connected_.at(client).who;
  if (who.uid != 0 && who.uid != ::geteuid()) {
    return Failure{Errc::kPermissionDenied, "only root and the daemon's own user (uid " +
                                                std::to_string(::geteuid()) +
                                                ") may stop it or restart it: ask them"};
  }
  if (request.restart > 1) return Failure{Errc::kInvalidArgument, "restart is 0 or 1"};
  const bool restarts = request.restart != 0;
  if (restarts && !manager_.keeps()) {
    return Failure{
        Errc::kInvalidArgument,
        "nobody keeps this daemon's store while it restarts: it was not started by `tensorctl start`, "
        "`tensord --keep` or a service with FileDescriptorStoreMax="};
  }
  log::info(std::string("asked to ") + (restarts ? "restart" : "stop") + " by pid " +
            std::to_string(who.pid) + ", uid " + std::to_string(who.uid));
  // Whoever finds the book after a stop begins a new one.
  if (!restarts) book_.header().ended.store(1, std::memory_order_release);
  end_(restarts ? End::kRestart : End::kStop);
  return protocol::ShutdownReply{};
}

}  // namespace tensord::daemon
