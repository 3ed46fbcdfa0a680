// Service: what a daemon before this one left, and who was connected to it.
#include <utility>

#include "service.hpp"

#include <cstddef>
#include <exception>
#include <span>
#include <string>

#include "log.hpp"
#include "os/socket.hpp"

namespace tensord::daemon {

namespace bip = boost::interprocess;

void Service::recover(Inherited inherited) {
  const auto began = std::chrono::steady_clock::now();
  segments_.recover(std::move(inherited.segments));
  const auto entries = book_.clients();
  for (std::uint32_t place = 0; place < entries.size() && entries[place].connected_unix_ns != 0; ++place) {
    const auto found = inherited.clients.find(entries[place].id.load(std::memory_order_acquire));
    if (found == inherited.clients.end()) continue;
    return_client(place, std::move(found->second));
    inherited.clients.erase(found);
  }
  // Those whose end, or whose beginning, the book knows of.
  for (const auto& [client, connection] : inherited.clients) manager_.let_go(kept_client(client));
  done_before_ = registry_.recover([this](const Extent& extent) { return segments_.occupy(extent); });
  for (const Returning& returning : returning_) {
    Connected& client = connected_.at(returning.client);
    client.batch = registry_.noted_batch(returning.client);
    client.batch_is_recovered = true;
  }
  segments_.all_occupied();
  sweeps_.while_needed();
  idle_spares_.while_needed();

  const auto took = std::chrono::steady_clock::now() - began;
  const Registry::Figures figures = registry_.figures();
  log::info("took over a store of " + std::to_string(figures.tensors) + " tensors and " +
            std::to_string(figures.clients) + " connections in " +
            std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(took).count()) + " us");
  if (slot_count() != options_.max_tensors) {
    log::warning("this store was made with --max-tensors " + std::to_string(slot_count()) +
                 "; another number counts for the next one, after a stop");
  }
}

void Service::return_client(std::uint32_t place, Inherited::Connection connection) {
  const ClientId client = book_.clients()[place].id.load(std::memory_order_relaxed);
  const auto give_up = [&](const std::string& why) {
    log::error("connection " + std::to_string(client) + " cannot be taken over: " + why);
    manager_.let_go(kept_client(client));
  };
  try {
    if (connection.ledger.size_bytes() != shm::ledger_size_bytes(slot_count())) {
      return give_up("its ledger is of another store");
    }
    bip::mapped_region ledger(connection.ledger, bip::read_write);
    const std::span bytes(static_cast<std::byte*>(ledger.get_address()), ledger.get_size());
    const os::PeerCredentials peer = os::peer_credentials(connection.socket.get());
    const Credentials who{peer.pid, peer.uid, peer.gid};
    if (!registry_.restore_client(place, who, shm::LedgerScanner(bytes, slot_count()))) {
      return give_up("the book has it twice");
    }
    returning_.push_back({client, std::move(connection.socket), std::move(connection.bell),
                          std::move(connection.ledger),
                          shm::RingServer::resume(shm::ring_of(bytes, slot_count()))});
    connected_.emplace(client, Connected{who, std::move(ledger)});
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

bool Service::was_done(ClientId client, const protocol::RequestHeader& request) {
  if (done_before_.client == client && client != 0) {
    // Whatever it asks first is that request, or came after its answer.
    done_before_.client = 0;
    if (done_before_.request.id == request.id && done_before_.request.type == request.type) return true;
  }
  book_.take_in_hand(client, request);
  return false;
}

}  // namespace tensord::daemon
