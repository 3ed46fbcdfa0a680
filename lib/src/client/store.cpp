#include <tensord/store.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <tensord/layout.hpp>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"
#include "client/copy_array.hpp"
#include "client/fork_guard.hpp"
#include "client/interrupt.hpp"
#include "client/locate.hpp"
#include "client/store_state.hpp"
#include "os/crash_point.hpp"
#include "protocol/messages.hpp"
#include "shm/slot.hpp"

namespace tensord {
namespace {

using protocol::IfNone;
using protocol::quoted;

// A daemon that was asked to stop has only to leave its event loop.
constexpr std::chrono::milliseconds kStopTimeout{10'000};
constexpr std::chrono::milliseconds kRestartPoll{1};

protocol::FindReply find(client::Connection& connection, std::string_view name,
                         IfNone if_none = IfNone::kExplain) {
  value_or_throw(protocol::check_name(name));
  protocol::Find request;
  request.header.type = protocol::Find::kType;
  request.name.assign(name);
  request.if_none = if_none;
  return connection.call<protocol::FindReply>(request);
}

}  // namespace

// ---- connecting -------------------------------------------------------------------------------

Store::Store(std::shared_ptr<client::StoreState> state) : state_(std::move(state)) {}

Store Store::connect(const ConnectOptions& options) {
  client::Place place = client::locate(options.socket);
  if (options.start && !place.connected) start_daemon(place.socket);
  return Store(std::make_shared<client::StoreState>(std::move(place.socket), std::move(place.connected)));
}

const std::string& Store::socket() const { return state_->socket(); }
void Store::close() noexcept { state_->close(); }

void Store::set_interrupt_check(std::function<void()> check) {
  client::set_interrupt_check(std::move(check));
}

// ---- attaching --------------------------------------------------------------------------------

View Store::attach(std::string_view name, const AttachOptions& options) const {
  View view = attach(name, options.mode);
  if (options.populate) view.populate();
  return view;
}

std::optional<View> Store::try_attach(std::string_view name, Mode mode) const {
  auto connection = state_->connection();
  if (View view = client::Connection::attach_mapped(connection, name, mode)) return view;
  Result<View> result =
      client::Connection::attach_asking(std::move(connection), name, mode, IfNone::kSayNothing);
  if (!result && result.failure().code == Errc::kNotFound) return std::nullopt;
  return value_or_throw(std::move(result));
}

// ---- making tensors ---------------------------------------------------------------------------

struct Builder::Impl {
  std::shared_ptr<client::Connection> connection;
  client::Connection::Draft draft;
  protocol::TensorSpec spec;
  Kind kind = Kind::kSealed;
  std::string name;
  std::uint32_t fork_depth = client::fork_depth();

  // A copy in a forked child is not ours to publish or drop: the parent's is the one.
  [[nodiscard]] bool of_this_process() const { return fork_depth == client::fork_depth(); }
  void require_this_process() const {
    if (of_this_process()) return;
    throw InvalidArgumentError("the Builder of " + quoted(name) +
                               " belongs to the process that forked this one: publish it there");
  }
};

Builder::Builder(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Builder::Builder(Builder&&) noexcept = default;
Builder& Builder::operator=(Builder&& other) noexcept {
  abort();
  impl_ = std::move(other.impl_);
  return *this;
}
Builder::~Builder() { abort(); }

void Builder::abort() noexcept {
  if (impl_ != nullptr && impl_->of_this_process()) impl_->connection->abort(impl_->draft);
  impl_.reset();
}

View Builder::publish() {
  if (impl_ == nullptr) throw InvalidArgumentError("this Builder was published or aborted already");
  impl_->require_this_process();
  View view = client::Connection::publish(impl_->connection, impl_->draft);
  impl_.reset();
  return view;
}

namespace {

template <class Impl>
Impl& usable(const std::unique_ptr<Impl>& impl) {
  if (impl == nullptr) throw InvalidArgumentError("this Builder was published or aborted already");
  return *impl;
}

}  // namespace

std::vector<View> Store::publish_many(std::span<Builder> builders) const {
  if (builders.empty()) return {};
  const auto connection = usable(builders.front().impl_).connection;
  std::vector<client::Connection::Draft> drafts;
  drafts.reserve(builders.size());
  for (const Builder& builder : builders) {
    const Builder::Impl& impl = usable(builder.impl_);
    impl.require_this_process();
    if (impl.connection != connection) {
      throw InvalidArgumentError("the Builders of " + quoted(builders.front().name()) + " and " +
                                 quoted(impl.name) +
                                 " are of two connections (two Stores, or from before and after a fork): "
                                 "publish them apart");
    }
    drafts.push_back(impl.draft);
  }
  auto views = client::Connection::publish_many(connection, drafts);
  for (Builder& builder : builders) builder.impl_.reset();
  return views;
}

std::byte* Builder::mutable_data() const { return usable(impl_).draft.place.data; }
std::size_t Builder::extent_bytes() const { return usable(impl_).draft.size_bytes; }
std::size_t Builder::size_bytes() const {
  return static_cast<std::size_t>(count_elements(shape())) * dtype().itemsize();
}
DType Builder::dtype() const { return usable(impl_).spec.dtype; }
Kind Builder::kind() const { return usable(impl_).kind; }
std::string_view Builder::name() const { return usable(impl_).name; }
std::span<const std::int64_t> Builder::shape() const { return {usable(impl_).spec.shape, impl_->spec.ndim}; }
std::span<const std::int64_t> Builder::strides() const {
  return {usable(impl_).spec.strides, impl_->spec.ndim};
}

void Builder::count_bytes_copied(std::size_t bytes) const {
  usable(impl_).connection->counters().bytes_copied_in.fetch_add(bytes, std::memory_order_relaxed);
}

Builder Store::build(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                     const PutOptions& options) const {
  return build(name, value_or_throw(protocol::make_contiguous_spec(dtype, shape)), options);
}

Builder Store::build(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                     std::span<const std::int64_t> strides, const PutOptions& options) const {
  return build(name, value_or_throw(protocol::make_strided_spec(dtype, shape, strides)), options);
}

Builder Store::build(std::string_view name, const protocol::TensorSpec& spec,
                     const PutOptions& options) const {
  value_or_throw(protocol::check_name(name));
  auto impl = std::make_unique<Builder::Impl>();
  impl->spec = spec;
  impl->kind = options.kind;
  impl->name = name;
  impl->connection = state_->connection();
  impl->draft = impl->connection->create(name, impl->spec, options);
  return Builder(std::move(impl));
}

View Store::put(std::string_view name, const Array& array, const PutOptions& options) const {
  value_or_throw(protocol::check_name(name));
  const protocol::TensorSpec spec = value_or_throw(protocol::make_packed_spec(array));
  const std::uint64_t size_bytes = value_or_throw(protocol::extent_bytes(spec));
  const client::Spare::Sort sort{protocol::namespace_of(name), options.kind, size_bytes};
  const auto connection = state_->connection();
  const auto fill = [&](const client::Destination& place) {
    os::crash_point("put.filling");
    client::copy_array(place, {spec.strides, spec.ndim}, array);
    connection->counters().bytes_copied_in.fetch_add(size_bytes, std::memory_order_relaxed);
  };
  if (View view = client::Connection::put_into_spare(connection, name, spec, options, sort, fill))
    return view;
  Builder builder = build(name, spec, options);
  fill(builder.impl_->draft.place);
  View view = client::Connection::publish(builder.impl_->connection, builder.impl_->draft, &sort);
  builder.impl_.reset();
  return view;
}

View Store::put(std::string_view name, const View& view, const PutOptions& options) const {
  const Array array{view.dtype(), view.shape(), view.strides(), view.data()};
  if (view.kind() == Kind::kSealed) return put(name, array, options);
  Builder builder = build(name, value_or_throw(protocol::make_packed_spec(array)), options);
  view.clone_to({builder.mutable_data(), builder.size_bytes()});
  builder.count_bytes_copied(builder.size_bytes());
  return builder.publish();
}

View Store::put(std::string_view name, DType dtype, std::span<const std::int64_t> shape, const void* data,
                const PutOptions& options) const {
  return put(name, Array{dtype, shape, {}, data}, options);
}

// ---- names and figures ------------------------------------------------------------------------

void Store::remove(std::string_view name) const {
  value_or_throw(protocol::check_name(name));
  protocol::Delete request;
  request.header.type = protocol::Delete::kType;
  request.name.assign(name);
  state_->connection()->call<protocol::DeleteReply>(request);
}

bool Store::contains(std::string_view name) const {
  if (!protocol::check_name(name)) return false;
  try {
    find(*state_->connection(), name, IfNone::kSayNothing);
    return true;
  } catch (const NotFoundError&) {
    return false;
  }
}

std::vector<std::string> Store::names(std::string_view prefix) const {
  std::vector<std::string> names;
  if (prefix.size() > kMaxNameSize) return names;
  const auto connection = state_->connection();
  protocol::List request;
  request.header.type = protocol::List::kType;
  request.prefix.assign(prefix);
  for (;;) {
    const auto page = connection->call<protocol::ListReply>(request);
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < page.count && at < page.names.size(); ++i) {
      const std::size_t size = static_cast<unsigned char>(page.names[at++]);
      if (size > page.names.size() - at)
        client::throw_broken_daemon("the daemon sent a broken page of names");
      const std::string_view name(&page.names[at], size);
      // Otherwise its pages need never end.
      if (!names.empty() && name <= names.back())
        client::throw_broken_daemon("the daemon sent names out of order");
      names.emplace_back(name);
      at += size;
    }
    if (page.more == 0 || page.count == 0) return names;
    request.after.assign(names.back());
  }
}

TensorInfo Store::info(std::string_view name) const {
  const auto reply = find(*state_->connection(), name);
  if (reply.spec.ndim > kMaxDims)
    client::throw_broken_daemon("the daemon described a tensor of too many dimensions");
  TensorInfo info;
  info.name = name;
  info.dtype = reply.spec.dtype;
  info.kind = static_cast<Kind>(reply.kind);
  info.lifetime = static_cast<Lifetime>(reply.lifetime);
  info.shape.assign(reply.spec.shape, reply.spec.shape + reply.spec.ndim);
  info.size_bytes = reply.size_bytes;
  info.owner_uid = reply.owner_uid;
  info.created_unix_ns = reply.created_unix_ns;
  return info;
}

const char* word_of(KeptBy who) {
  switch (who) {
    case KeptBy::kNobody: return "nobody";
    case KeptBy::kKeeper: return "keeper";
    case KeptBy::kServiceManager: return "service manager";
  }
  return "?";
}

StoreStats Store::stats() const {
  protocol::Stats request;
  request.header.type = protocol::Stats::kType;
  const auto reply = state_->connection()->call<protocol::StatsReply>(request);
  StoreStats stats;
  stats.limit_bytes = reply.limit_bytes;
  stats.reserved_bytes = reply.reserved_bytes;
  stats.used_bytes = reply.used_bytes;
  stats.dying_bytes = reply.dying_bytes;
  stats.largest_free_bytes = reply.largest_free_bytes;
  stats.tensors = reply.tensors;
  stats.dying_tensors = reply.dying_tensors;
  stats.building_tensors = reply.building_tensors;
  stats.max_tensors = reply.max_tensors;
  stats.segments = reply.segments;
  stats.connections = reply.connections;
  stats.max_connections = reply.max_connections;
  stats.daemon_pid = reply.daemon_pid;
  if (reply.kept_by > static_cast<std::uint32_t>(KeptBy::kServiceManager)) {
    client::throw_broken_daemon("the daemon is kept by an unknown kind of keeper");
  }
  stats.kept_by = static_cast<KeptBy>(reply.kept_by);
  stats.uptime_ms = reply.uptime_ms;
  stats.published = reply.published;
  stats.published_bytes = reply.published_bytes;
  stats.deleted = reply.deleted;
  stats.version = reply.version.view();
  return stats;
}

ClientStats Store::client_stats() const {
  const client::Counters& counters = state_->counters();
  return {counters.bytes_copied_in.load(std::memory_order_relaxed),
          counters.bytes_copied_out.load(std::memory_order_relaxed),
          counters.requests.load(std::memory_order_relaxed)};
}

void Store::shutdown() const {
  protocol::Shutdown request;
  request.header.type = protocol::Shutdown::kType;
  const auto connection = state_->connection();
  connection->call<protocol::ShutdownReply>(request);
  // On this very connection: under systemd the listening socket outlives the daemon, and a new
  // connection would wait for the next one.
  connection->await_hang_up(kStopTimeout);
}

void Store::restart_daemon() const {
  const std::uint32_t before = stats().daemon_pid;
  protocol::Shutdown request;
  request.header.type = protocol::Shutdown::kType;
  request.restart = 1;
  state_->connection()->call<protocol::ShutdownReply>(request);
  const auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
  // Each is answered by the old one, as its last, or by the new one.
  while (stats().daemon_pid == before) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw TimeoutError("the daemon at " + state_->socket() + " was asked to restart, but pid " +
                         std::to_string(before) + " still serves: see its log");
    }
    std::this_thread::sleep_for(kRestartPoll);
  }
}

}  // namespace tensord
