// Connection: one socket to the daemon, its ledger, the catalog, and the mapped segments.
//
// The fast road (attach, detach) runs in shared memory and never meets the slow road (requests),
// which is one datagram each way under a mutex.
// Owns     socket, mappings, granted segments. Lives as long as its Store and every View on it.
// Threads  any. attach_mapped() and release() take no lock; requests wait for one another.
// Forks    a connection from before a fork only holds its views; see fork_guard.hpp.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include <tensord/store.hpp>

#include "client/copy.hpp"
#include "client/fork_guard.hpp"
#include "client/requests.hpp"
#include "client/segment_table.hpp"
#include "client/spare.hpp"
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "result.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"

namespace tensord::client {

class Connection {
 public:
  // Says hello on a connected socket; `path` is for messages. Throws ConnectionLostError (hung up, not
  // a tensord socket), VersionMismatchError, LimitReachedError, TimeoutError.
  static std::shared_ptr<Connection> open(os::UniqueFd socket, const std::string& path,
                                          std::shared_ptr<Counters> counters);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Attach, in two steps. The first looks into shared memory only, and returns an empty view if that
  // has no answer; otherwise `self` went into the view. The second asks the daemon.
  // Fails with kNotFound, kPermissionDenied; throws for a lost connection.
  static View attach_mapped(std::shared_ptr<Connection>& self, std::string_view name, Mode mode);
  static Result<View> attach_asking(std::shared_ptr<Connection> self, std::string_view name, Mode mode,
                                    protocol::IfNone if_none = protocol::IfNone::kExplain);

  // A tensor in the making. The caller fills base + offset, then calls publish() or abort().
  struct Draft {
    std::uint32_t slot = 0;
    std::uint64_t word = 0;
    Destination place;  // writable
    std::uint64_t size_bytes = 0;
  };
  Draft create(std::string_view name, const protocol::TensorSpec& spec, const PutOptions& options);
  // With a sort: the next tensor of it may be put into a spare.
  static View publish(std::shared_ptr<Connection> self, const Draft& draft,
                      const Spare::Sort* sort = nullptr);
  // A put in one request, if there is a spare that it fits into; otherwise, and if the daemon took that back,
  // an empty view. Calls fill() with the memory.
  static View put_into_spare(const std::shared_ptr<Connection>& self, std::string_view name,
                             const protocol::TensorSpec& spec, const PutOptions& options,
                             const Spare::Sort& sort, const std::function<void(const Destination&)>& fill);
  void abort(const Draft& draft) noexcept;

  // The same for many; all or none of them.
  struct Wanted {
    std::string_view name;
    protocol::TensorSpec spec;
    std::uint64_t room_offset_bytes = 0;  // these three: messages.hpp, Create
    std::uint64_t room_bytes = 0;
    const Draft* in_room_of = nullptr;
  };
  // Calls created(i, draft) for each as soon as it has its memory, mostly while the next ones are being made.
  // REQUIRES: that makes no request.
  std::vector<Draft> create_many(std::span<const Wanted> wanted, const PutOptions& options,
                                 const std::function<void(std::size_t, const Draft&)>& created);
  static std::vector<View> publish_many(const std::shared_ptr<Connection>& self,
                                        std::span<const Draft> drafts);
  void abort_many(std::span<const Draft> drafts) noexcept;
  // All at one moment, in which the daemon was not publishing a batch. Throws what attach throws.
  static std::vector<View> attach_many(const std::shared_ptr<Connection>& self,
                                       std::span<const std::string_view> names, Mode mode);

  // Sends `request`, waits for its reply and returns it. Throws the error that the daemon reports.
  template <class Reply, class Request>
  Reply call(Request request, std::vector<os::UniqueFd>* fds = nullptr) {
    Reply reply{};
    requests_.transact(std::as_writable_bytes(std::span(&request, 1)),
                       std::as_writable_bytes(std::span(&reply, 1)), fds);
    return reply;
  }

  // A row of requests, make(0) to make(count - 1): each is sent without waiting for the reply to the one
  // before, so that all cost about one round trip. Calls take(i, reply) for each, in order. After one that
  // the daemon refuses nothing more is sent, the replies under way are taken, and its error is thrown; so
  // each request that was done was given to take(), unless take() or an interrupt throws.
  // REQUIRES: neither function makes a request.
  template <class Reply, class Request, class Make, class Take>
  void call_many(std::size_t count, Make&& make, Take&& take) {
    Request request{};
    Reply reply{};
    requests_.transact_many(
        count, sizeof request,
        [&](std::size_t i) {
          request = make(i);
          return std::as_writable_bytes(std::span(&request, 1));
        },
        std::as_writable_bytes(std::span(&reply, 1)), [&](std::size_t i) { take(i, reply); });
  }

  // Waits until the daemon closes this connection. Throws TimeoutError.
  void await_hang_up(std::chrono::milliseconds timeout) { requests_.await_hang_up(timeout); }

  // For views.
  void release(std::uint32_t slot) noexcept;
  void pin_again(std::uint32_t slot);
  [[nodiscard]] std::shared_ptr<std::byte> map_private(const View& view);
  [[nodiscard]] const Segment& segment_of(const shm::Slot& slot) const;
  [[nodiscard]] std::string_view name_of(std::uint32_t slot) const {
    return shm::name_of(catalog_.slot(slot), catalog_.tail(slot));
  }
  [[nodiscard]] Counters& counters() const { return *counters_; }

  // What the daemon knows about a connection, by its number.
  struct Peer {
    bool connected = false;
    std::uint32_t pid = 0;
  };
  [[nodiscard]] Peer ask_about(std::uint32_t connection);
  [[nodiscard]] std::uint32_t number() const { return ledger_.connection(); }
  // For who shows there what it waits for. Valid as long as the connection.
  [[nodiscard]] const shm::Ledger& ledger() const { return ledger_; }

  // For who waits for a name: the word that grows when it is published (shm/catalog.hpp, [event]).
  [[nodiscard]] const std::atomic<std::uint32_t>& name_event(std::string_view name) const;
  // For who is to sleep on a live tensor that it can only read: has its writers wake sleepers from soon on
  // (shm/live_header.hpp, [wake]), unless the daemon does not hear it. REQUIRES: a pin on the slot.
  void say_awaited(std::uint32_t slot) noexcept;
  // Whether the daemon has ended this connection; without asking it anything.
  [[nodiscard]] bool hung_up() const noexcept { return requests_.hung_up(); }

  // Whether any of its tensors go with it (Lifetime::kClient), or may have once.
  [[nodiscard]] bool made_bound_tensors() const { return made_bound_.load(std::memory_order_relaxed); }

  [[nodiscard]] bool frozen() const { return ledger_.frozen(); }
  [[nodiscard]] const std::array<std::uint8_t, 16>& store_id() const { return catalog_.store_id(); }

 private:
  Connection(os::UniqueFd socket, std::string path, std::shared_ptr<Counters> counters);
  // False: the daemon hung up before it said anything.
  bool say_hello();
  // A request sent along with Hello. What the daemon grants is mapped by the time somebody attaches.
  std::optional<std::uint32_t> ask_for_likely_segment();
  void take_likely_segment(std::uint32_t id);
  // Another connection to the same store, for who must not use this one's socket after a fork.
  std::shared_ptr<Connection> open_own();

  // Pins the slot and returns where its bytes are, if it is a published tensor of this name in a
  // segment that was granted to us. Otherwise null, and nothing is pinned.
  std::byte* try_slot(std::uint32_t index, std::string_view name, Mode mode);
  // Asks the daemon where `name` is, and maps its segment. Returns the slot.
  std::uint32_t find(std::string_view name, Mode mode, protocol::IfNone if_none);
  // Before it makes a tensor.
  void note_lifetime(Lifetime lifetime) {
    if (lifetime == Lifetime::kClient) made_bound_.store(true, std::memory_order_relaxed);
  }
  // Asks for the memory that attaching to a name of this hash will read, if the index knows it.
  void prefetch_slot(std::uint64_t hash) const;
  // Returns after a moment in which the daemon was not publishing a batch.
  void see_no_batch();
  // Tells the daemon that a dying tensor may be looked at no more.
  void nudge(std::uint32_t slot) noexcept;
  // Where a tensor that the daemon has just placed is, for writing; its segment is mapped if need be. The
  // first tensor of a live room begins with a clear header.
  Destination map_for_writing(const protocol::Granted& placed, const Wanted& wanted, bool clear_live_header);
  [[nodiscard]] bool is_mapped_for_writing(std::uint64_t segment) const;
  void grant_writing(std::uint64_t segment);
  // The view of a tensor that this connection published, and has pinned.
  static View view_of(std::shared_ptr<Connection> self, std::uint32_t slot);
  void install(std::uint64_t segment, protocol::Access access, std::vector<os::UniqueFd> fds);

  const std::shared_ptr<Counters> counters_;
  Requests requests_;
  Spare spare_;
  boost::interprocess::mapped_region catalog_region_;
  boost::interprocess::mapped_region ledger_region_;
  shm::CatalogReader catalog_;
  shm::Ledger ledger_;
  SegmentTable segments_;
  std::optional<FreezeOnFork> freeze_on_fork_;
  std::atomic<bool> made_bound_{false};

  std::mutex segments_mutex_;  // one segment is entered at a time
};

}  // namespace tensord::client
