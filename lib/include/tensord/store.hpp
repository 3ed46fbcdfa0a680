// Store: a connection to the daemon, and the only way to obtain views.
//
//   auto store = tensord::Store::connect();
//   store.put("demo/ramp", std::span<const float>(ramp));
//   tensord::View view = store.attach("demo/ramp");
//
// Owns     a reference to its connection; views keep their own, so a Store may go first.
// Threads  safe from any thread. attach() of a tensor whose segment is mapped takes no lock, makes
//          no system call and no heap allocation; requests to the daemon are one at a time.
// Forks    usable on both sides of fork(): parent and child each connect anew on first need, and
//          the views they held before stay valid in both.
// Fails    with tensord::Error (error.hpp). ConnectionLostError once the daemon hangs up; views
//          stay readable then, and reconnecting is the caller's choice.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tensord/array.hpp>
#include <tensord/view.hpp>

namespace tensord {

namespace client {
class StoreState;
}
namespace protocol {
struct TensorSpec;
}

struct ConnectOptions {
  // The daemon's socket. Empty: $TENSORD_SOCKET if set, else the first of the standard places
  // that has a daemon, else this user's own place (see default_socket_paths()).
  std::string socket{};
  // Start a daemon for this user when none is running at that place. Two callers at once start one.
  bool start = true;
};

struct AttachOptions {
  Mode mode = Mode::kRead;
  // Map all pages of the tensor into this process now, instead of one by one as they are touched: attach
  // takes longer, and the first look at the elements no longer than the second. In the shared mapping only:
  // a private one (View::map_private, torch tensors of sealed ones) has pages of its own.
  bool populate = false;
};

struct PutOptions {
  bool replace = false;  // take the name over; who has the old tensor attached keeps its bytes
  Kind kind = Kind::kSealed;
  Lifetime lifetime = Lifetime::kStore;
};

// One tensor of Store::put_many(). Borrows its name, too.
struct PutItem {
  std::string_view name;
  Array array;
};

// What put_many() does with arrays that overlap in memory, as tied weights do.
enum class Overlap : std::uint8_t {
  kSeparate = 0,  // each gets a copy of its own
  kKeep = 1,      // they share memory in the store, too, with the strides that they have; in one namespace
};

// One tensor as the catalog lists it.
struct TensorInfo {
  std::string name;
  DType dtype;
  Kind kind = Kind::kSealed;
  Lifetime lifetime = Lifetime::kStore;
  std::vector<std::int64_t> shape;
  std::uint64_t size_bytes = 0;
  std::uint32_t owner_uid = 0;
  std::uint64_t created_unix_ns = 0;
};

// What the tensor is to its Holder.
enum class HolderState : std::uint8_t {
  kAttached = 0,  // the tensor of that name
  kBuilding = 1,  // one that it is making, which nobody sees yet
  kDying = 2,     // one that had the name and was deleted or replaced: its memory waits for these views
  kSpare = 3,     // memory granted ahead of the next put; the daemon takes it back when anybody needs it
};

[[nodiscard]] const char* word_of(HolderState state);  // "attached", "building", "dying", "spare"

// One connection that holds the memory of one tensor. A process may have several (each Store is one), and
// after fork() the views of both sides are counted for the one that connected, for as long as either lives.
struct Holder {
  std::string name;  // of the tensor; empty: of a spare
  HolderState state = HolderState::kAttached;
  std::uint32_t connection = 0;  // the daemon's number for it
  std::uint32_t pid = 0;         // who connected, as the daemon sees it; 0: it cannot see it
  std::uint32_t uid = 0;
  std::string command;  // what /proc calls that pid now; "?" if that cannot be read, or is not ours to know
  std::uint32_t views = 0;              // as that process says: it keeps this count itself
  std::uint64_t size_bytes = 0;         // of the tensor
  std::uint64_t created_unix_ns = 0;    // the tensor; 0: a spare
  std::uint64_t connected_unix_ns = 0;  // the connection; its views are younger, and bear no time
};

// What somebody sleeps for.
enum class WaitsFor : std::uint8_t {
  kName = 0,        // that a tensor of this name is published (Store::wait)
  kNewVersion = 1,  // that the live tensor of this name changes, or its writer ends (View::wait, clone)
};

[[nodiscard]] const char* word_of(WaitsFor what);  // "name", "version"

// One thread that sleeps. Whoever has only just begun to wait spins for a moment first, and is not seen yet.
struct Waiter {
  std::string name;
  WaitsFor waits_for = WaitsFor::kName;
  std::uint32_t connection = 0;  // the daemon's number for it
  std::uint32_t pid = 0;         // who connected, as the daemon sees it; 0: it cannot see it
  std::uint32_t uid = 0;
  std::string command;              // as Holder has it
  std::uint64_t since_unix_ns = 0;  // when it fell asleep for the first time in this wait, as it says itself
};

// Who starts the next daemon when this one ends, and gives it the store.
enum class KeptBy : std::uint8_t {
  kNobody = 0,          // the store ends with the daemon
  kKeeper = 1,          // tensord --keep, which tensorctl start and Store::connect() use
  kServiceManager = 2,  // systemd
};

[[nodiscard]] const char* word_of(KeptBy who);  // "nobody", "keeper", "service manager"

struct StoreStats {
  std::uint64_t limit_bytes = 0;     // the store's cap on reserved memory; on demand: on address space
  std::uint64_t reserved_bytes = 0;  // held in segments, used or not; on demand: those with memory
  std::uint64_t used_bytes = 0;      // of tensors, dying ones included, with alignment
  std::uint64_t dying_bytes = 0;     // deleted, but still pinned by somebody
  std::uint64_t largest_free_bytes = 0;
  std::uint32_t tensors = 0;
  std::uint32_t dying_tensors = 0;
  std::uint32_t building_tensors = 0;
  std::uint32_t max_tensors = 0;
  std::uint32_t segments = 0;
  std::uint32_t connections = 0;  // this one included
  std::uint32_t max_connections = 0;
  std::uint32_t daemon_pid = 0;
  KeptBy kept_by = KeptBy::kNobody;
  std::uint64_t uptime_ms = 0;  // of the daemon, which may be younger than its store
  // Since this daemon began.
  std::uint64_t published = 0;  // tensors
  std::uint64_t published_bytes = 0;
  std::uint64_t deleted = 0;  // names taken away: by remove(), by a replacement, or with their maker
  std::string version;
};

// What one user has of the store, and may have: his quota, or the store's limit where that is less.
struct UserStats {
  std::uint32_t uid = 0;
  std::uint64_t used_bytes = 0;  // of his living tensors, with alignment, and granted ahead of his next puts
  std::uint64_t max_bytes = 0;
  std::uint64_t dying_bytes = 0;  // of deleted tensors that he views, whosever they were
  std::uint64_t max_dying_bytes = 0;
  std::uint64_t tensors = 0;  // those, and deleted ones that he views
  std::uint64_t max_tensors = 0;
  std::uint64_t connections = 0;
  std::uint64_t max_connections = 0;
};

// What this Store did, in this process, since it was made.
struct ClientStats {
  std::uint64_t bytes_copied_in = 0;   // by put
  std::uint64_t bytes_copied_out = 0;  // by clone
  std::uint64_t requests = 0;          // round trips to the daemon; a row of requests (put_many) is one
};

// Builder: a tensor that is not visible yet. Fill mutable_data(), then publish(); it is dropped
// when the Builder dies before. Owned by the connection: killed processes leave none behind.
class Builder {
 public:
  Builder(Builder&&) noexcept;
  Builder& operator=(Builder&&) noexcept;
  ~Builder();

  [[nodiscard]] std::byte* mutable_data() const;   // writable, uninitialised
  [[nodiscard]] std::size_t size_bytes() const;    // of all elements: their number times the itemsize
  [[nodiscard]] std::size_t extent_bytes() const;  // that may be written from mutable_data() on
  [[nodiscard]] DType dtype() const;
  [[nodiscard]] Kind kind() const;
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] std::span<const std::int64_t> shape() const;
  [[nodiscard]] std::span<const std::int64_t> strides() const;

  // Adds to Store::client_stats(): for functions that fill a Builder with a copy of the caller's elements.
  void count_bytes_copied(std::size_t bytes) const;

  // Makes the tensor visible, whole. Afterwards the Builder is spent (every call but destruction
  // throws). A live tensor's view is "r+". Of a sealed tensor nothing may be written any more:
  // pointers from mutable_data() must not be used again.
  View publish();
  void abort() noexcept;
  [[nodiscard]] explicit operator bool() const noexcept { return impl_ != nullptr; }

 private:
  friend class Store;
  friend class client::Connection;
  struct Impl;
  explicit Builder(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

class Store {
 public:
  static Store connect(const ConnectOptions& options = {});

  // Attaches by name. Throws NotFoundError (the text offers near names), PermissionDeniedError.
  [[nodiscard]] View attach(std::string_view name, Mode mode = Mode::kRead) const;
  [[nodiscard]] View attach(std::string_view name, const AttachOptions& options) const;
  // The same; nothing if there is no such tensor. Other failures throw.
  [[nodiscard]] std::optional<View> try_attach(std::string_view name, Mode mode = Mode::kRead) const;
  // The same, once somebody has published a tensor of that name. Sleeps until then; interruptible by signals
  // (set_interrupt_check). Throws TimeoutError (the text says who is building it, or that nobody is, and
  // offers near names), ConnectionLostError (also within a second after the daemon ended).
  View wait(std::string_view name, std::chrono::nanoseconds timeout = kForever,
            Mode mode = Mode::kRead) const;

  // A new tensor, filled by the caller in place: no copy at all.
  [[nodiscard]] Builder build(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                              const PutOptions& options = {}) const;
  // The same with strides, in elements: any that are positive and let no two elements overlap.
  [[nodiscard]] Builder build(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                              std::span<const std::int64_t> strides, const PutOptions& options = {}) const;
  // A new tensor with the elements of `array`: exactly one copy, in. Its strides are the array's, if they
  // are positive and leave no gap (C order, Fortran order, any permutation); other elements are packed,
  // into packed_strides() (layout.hpp).
  View put(std::string_view name, const Array& array, const PutOptions& options = {}) const;
  // The same from a view, which may be of another store: of a live tensor all of one version, as
  // View::clone_to() gives it.
  View put(std::string_view name, const View& view, const PutOptions& options = {}) const;
  // The same from C-contiguous elements at `data`.
  View put(std::string_view name, DType dtype, std::span<const std::int64_t> shape, const void* data,
           const PutOptions& options = {}) const;
  // The same for a vector of elements.
  template <class T>
  View put(std::string_view name, std::span<const T> elements, const PutOptions& options = {}) const {
    const std::int64_t length = static_cast<std::int64_t>(elements.size());
    return put(name, dtype_of<T>, {&length, 1}, elements.data(), options);
  }

  // ---- several at once: for about one round trip, published together or not at all ----
  // Puts each item as put() would; whoever calls attach_many() finds all of them or none. Exactly one copy
  // of each, in; with Overlap::kKeep one of all the memory that arrays have in common, from its lowest to its
  // highest byte. Returns the views in the order of the items. When it throws (as put(), and
  // InvalidArgumentError for a name that comes twice), none was published.
  std::vector<View> put_many(std::span<const PutItem> items, const PutOptions& options = {},
                             Overlap overlap = Overlap::kSeparate) const;
  // Publishes tensors that were built and filled one by one, all by this Store. Afterwards all Builders are
  // spent. When it throws (as Builder::publish()), none was published, and all are as they were.
  std::vector<View> publish_many(std::span<Builder> builders) const;
  // Attaches to all of them at one moment: of tensors that were published together, never some of one batch
  // and some of an older one. No system call if their segments are mapped, else one round trip for each
  // segment. Throws as attach(), for the first of the names that fails.
  [[nodiscard]] std::vector<View> attach_many(std::span<const std::string_view> names,
                                              Mode mode = Mode::kRead) const;

  // Takes the name away at once; the bytes go with the last view. (`delete` in Python and the docs.)
  void remove(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const;
  // Names that begin with `prefix`, sorted.
  [[nodiscard]] std::vector<std::string> names(std::string_view prefix = {}) const;
  [[nodiscard]] TensorInfo info(std::string_view name) const;

  // Who holds the memory of this tensor, and of those that had its name before and are dying. Throws
  // NotFoundError (there is neither), PermissionDeniedError (root and the daemon's user may always ask).
  // What others do meanwhile may or may not be in it.
  [[nodiscard]] std::vector<Holder> holders(std::string_view name) const;
  // Who holds memory that no name leads to: the dying, what is being built, and spares; of all namespaces
  // that this user may read.
  [[nodiscard]] std::vector<Holder> holders() const;
  // Who holds anything whose name begins, or began, with `prefix`; of all namespaces that this user may read.
  // Every tensor of the store is looked at, so it takes the longer, the more there are.
  [[nodiscard]] std::vector<Holder> holders_of_all(std::string_view prefix = {}) const;
  // Who sleeps until a name is published or a live tensor changes; of other users, only what this one may
  // read. Of one connection the first 7 threads that sleep at a time can be seen.
  [[nodiscard]] std::vector<Waiter> waiters() const;

  [[nodiscard]] StoreStats stats() const;
  // What each user has, ordered by uid: all who have anything, for root and the daemon's user; for others
  // only themselves.
  [[nodiscard]] std::vector<UserStats> users() const;
  [[nodiscard]] ClientStats client_stats() const;
  [[nodiscard]] const std::string& socket() const;
  // Ends the daemon, and returns when it has hung up: the store and all its tensors go. Allowed to the
  // daemon's own user and root. Throws PermissionDeniedError, TimeoutError.
  void shutdown() const;
  // Has the daemon end and be followed by another one, of the program that is installed by now, and returns
  // when that serves: an upgrade. Tensors, views and connections stay; requests wait meanwhile. Allowed as
  // shutdown(). Throws PermissionDeniedError, InvalidArgumentError (nobody keeps this daemon's store, so it
  // was not started by `tensorctl start`, `tensord --keep` or systemd), TimeoutError.
  void restart_daemon() const;

  // Lets go of the connection now; views stay valid. Later calls throw ConnectionLostError.
  void close() noexcept;

  // Called while a request waits and a signal arrived (EINTR). It may throw to give the wait up:
  // Python's Ctrl-C. One function for the process; set it before threads start.
  static void set_interrupt_check(std::function<void()> check);

 private:
  explicit Store(std::shared_ptr<client::StoreState> state);
  [[nodiscard]] Builder build(std::string_view name, const protocol::TensorSpec& spec,
                              const PutOptions& options) const;
  std::shared_ptr<client::StoreState> state_;
};

// Where connect() looks, in order: the system daemon, then this user's own.
[[nodiscard]] std::vector<std::string> default_socket_paths();
// The place of this user's own daemon: the last of default_socket_paths(), or $TENSORD_SOCKET.
[[nodiscard]] std::string user_socket_path();
// The place that connect() would use: the first default place that is served, else this user's own.
[[nodiscard]] std::string running_socket_path();
// Runs `tensord --keep --background --socket <path>` and returns when it serves (or another one does).
// The program: $TENSORD_DAEMON, else beside this library's users (set_daemon_path), else on PATH.
void start_daemon(const std::string& socket);
void set_daemon_path(std::string path);

}  // namespace tensord
