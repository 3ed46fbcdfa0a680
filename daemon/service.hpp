// Service: what the daemon does for a client, request by request.
//
// It joins the registry (names, slots, pins), the segments (memory) and the catalog. A request
// arrives as a checked struct; a Result is the reply's content. Sockets are session.hpp's.
// Threads  one, that of the io_context.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include "catalog_pages.hpp"
#include "credentials.hpp"
#include "inherited.hpp"
#include "ledgers.hpp"
#include "options.hpp"
#include "os/memfd.hpp"
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "recurring.hpp"
#include "registry.hpp"
#include "result.hpp"
#include "segments.hpp"
#include "service_manager.hpp"
#include "shm/ring.hpp"
#include "store_memory.hpp"

namespace tensord::daemon {

class Service {
 public:
  // kSignal: to stop, but whoever keeps the store may start another daemon for it. kStop: the store ends.
  enum class End { kSignal, kStop, kRestart };
  // `end` is called when a client that may do so asks for it. With what a daemon before this one left, it
  // goes on where that one ended. Throws std::runtime_error if that is of another version; it is all there
  // still. REQUIRES: the manager stays.
  Service(boost::asio::io_context& loop, const Options& options, ServiceManager& manager,
          std::optional<Inherited> inherited, std::function<void(End)> end);

  // The connections that were there before this daemon was, to be served on.
  struct Returning {
    ClientId client = 0;
    os::UniqueFd socket;
    os::UniqueFd bell;
    os::Memfd ledger;  // to be sent once more, if its Hello was not quite answered
    shm::RingServer ring;
  };
  [[nodiscard]] std::vector<Returning> take_returning() { return std::exchange(returning_, {}); }

  struct Welcome {
    ClientId client = 0;
    protocol::HelloReply reply;
    std::array<os::UniqueFd, 3> fds;  // catalog, ledger, bell of the ring; the daemon keeps the last one, too
    shm::RingServer ring;             // in the ledger; valid until farewell
  };
  // Fails with kVersionMismatch, kLimitReached.
  Result<Welcome> welcome(const Credentials& who, const protocol::Hello& hello, int socket);
  // The same once more, for one who has returned and may not have heard it.
  Welcome welcome_again(const Returning& returning, int bell);
  void farewell(ClientId client);

  // Nothing: first somebody has to make memory. Then create() waits for it; nothing has changed yet.
  std::optional<Result<protocol::CreateReply>> create_now(ClientId client, const protocol::Create& request);
  boost::asio::awaitable<Result<protocol::CreateReply>> create(ClientId client, protocol::Create request);
  Result<protocol::PublishReply> publish(ClientId client, const protocol::Publish& request);
  Result<protocol::PublishReply> publish_spare(ClientId client, const protocol::PublishSpare& request);
  // Keeps what came of a batch until its last message, for this client.
  Result<protocol::PublishManyReply> publish_many(ClientId client, const protocol::PublishMany& request);
  Result<protocol::AbortReply> abort(ClientId client, const protocol::Abort& request);
  Result<protocol::DeleteReply> remove(ClientId client, const protocol::Delete& request);
  // find and grant append the descriptors to `fds`.
  Result<protocol::FindReply> find(ClientId client, const protocol::Find& request,
                                   std::vector<os::UniqueFd>& fds);
  Result<protocol::GrantReply> grant(ClientId client, const protocol::Grant& request,
                                     std::vector<os::UniqueFd>& fds);
  protocol::ListReply list(const protocol::List& request) const;
  protocol::StatsReply stats() const;
  protocol::AskAboutReply ask_about(const protocol::AskAbout& request) const;
  Result<protocol::HoldersReply> holders(ClientId client, const protocol::Holders& request) const;
  protocol::UsersReply users(ClientId client, const protocol::Users& request) const;
  protocol::WaitersReply waiters(ClientId client, const protocol::Waiters& request) const;
  Result<protocol::ShutdownReply> shutdown(ClientId client, const protocol::Shutdown& request);
  void nudge(const protocol::Nudge& request);
  void await(ClientId client, const protocol::Await& request);

 private:
  struct Connected {
    Credentials who;
    boost::interprocess::mapped_region ledger;
    std::vector<Draft> batch{};       // of PublishMany, while more of it is to come
    bool batch_is_recovered = false;  // the message that comes next may be one that is in it already
  };
  struct Admitted {
    NewTensor wanted;
    Pool pool;
    std::uint64_t prefix_bytes = 0;
  };
  Result<Admitted> admit(ClientId client, const protocol::Create& request);
  Result<protocol::CreateReply> place(ClientId client, const Admitted& admitted,
                                      const Result<Placed>& placed);
  [[nodiscard]] Result<protocol::CreateReply> created(const Result<SlotIndex>& slot);
  // To be asked before anything changes. True: this very request was done by the daemon before this one,
  // which died before it could say so.
  bool was_done(ClientId client, const protocol::RequestHeader& request);
  void recover(Inherited inherited);
  void return_client(std::uint32_t place, Inherited::Connection connection);
  [[nodiscard]] protocol::HelloReply hello_reply() const;
  [[nodiscard]] std::uint32_t slot_count() const { return header_.slot_count; }
  // None of these is in a batch any more.
  void forget_batch(ClientId client, std::span<const Draft> batch);
  Result<Done> grant_segment(ClientId client, SegmentId segment, protocol::Access access,
                             std::vector<os::UniqueFd>& fds);
  [[nodiscard]] protocol::Granted granted(SlotIndex slot) const;
  [[nodiscard]] protocol::PublishReply published(ClientId client, SlotIndex slot, bool wants_spare);
  // A spare like that tensor, if there is one to be had.
  [[nodiscard]] protocol::Granted grant_spare(ClientId client, SlotIndex like);

  const Options options_;
  ServiceManager& manager_;
  const std::function<void(End)> end_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const StoreMemory memory_;
  const shm::CatalogHeader& header_;
  Book book_;
  std::unordered_map<ClientId, Connected> connected_;
  std::vector<Returning> returning_;
  Registry::Recovered done_before_;  // client 0: nothing was
  Registry registry_;
  Segments segments_;
  CatalogPages catalog_pages_;
  Ledgers ledgers_;
  Recurring sweeps_;  // of what is dying
  Recurring idle_spares_;
  SegmentId last_granted_ = 0;  // what a client that has just come will most probably want
};

}  // namespace tensord::daemon
