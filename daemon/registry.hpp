// Registry: the tensors of the store: their names, slots, clients and ends.
//
// It decides; the catalog only shows. Everything a decision needs is kept here, in the daemon's
// own memory, and nothing is read back from shared memory except the pins in the ledgers.
//
//   begin()    name and space are the caller's      slot Free      -> Building
//   grant_spare()  the same, without a name yet
//   publish()  the name is taken, or taken over     slot Building  -> Published
//   remove()   the name goes, the bytes wait        slot Published -> Dying
//   reclaim    when no granted ledger pins it       slot Dying     -> Free, extent given back
//
// A dying tensor is looked at again when a client nudges, when a client hangs up, and in sweep().
// Space itself is not its business: extents come from the caller and go back through `give_back`, each
// when the last of the tensors in its room is free.
//
// What it decides it also enters in the book (book.hpp), so that a daemon that comes after this one's end can
// recover() it: each change is behind one store, of a slot's word mostly.
// Threads  one.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <tensord/store.hpp>

#include "book.hpp"
#include "credentials.hpp"
#include "indexes.hpp"
#include "namespaces.hpp"
#include "protocol/messages.hpp"
#include "protocol/tensor_spec.hpp"
#include "quotas.hpp"
#include "result.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"
#include "space.hpp"

namespace tensord::daemon {

using ClientId = std::uint32_t;  // also the connection's number in its ledger; never 0
using SlotIndex = std::uint32_t;
using protocol::IfNone;

// A tensor in the making, as its client names it.
struct Draft {
  SlotIndex slot = 0;
  std::uint64_t word = 0;
};

// What one extent holds: one tensor, or several that share memory.
struct Room {
  Extent extent;
  std::uint64_t offset_bytes = 0;  // in its segment; a live tensor's header lies directly before
  std::uint64_t size_bytes = 0;
  std::uint32_t tensors = 0;  // with a slot, dying ones included
  RoomBill bill{};
};

struct Tensor {
  std::string name;
  std::uint64_t hash = 0;
  protocol::TensorSpec spec;
  Kind kind = Kind::kSealed;
  Lifetime lifetime = Lifetime::kStore;
  bool replace = false;
  shm::SlotState state = shm::SlotState::kBuilding;
  std::uint32_t namespace_id = 0;
  uid_t owner = 0;
  ClientId creator = 0;
  std::shared_ptr<Room> room;
  std::uint64_t offset_bytes = 0;  // of the first element, in its segment
  std::uint64_t size_bytes = 0;
  std::uint64_t created_unix_ns = 0;
  bool is_spare = false;  // a draft without a name (messages.hpp, PublishReply)
  bool is_old_spare = false;
  std::uint64_t publication = 0;  // the how manyth of the store; once Published
  // While Dying: of each user who pins it, one connection that does. Others of his need not be known.
  struct Pinner {
    uid_t uid = 0;
    ClientId client = 0;
  };
  std::vector<Pinner> pinners{};
  std::size_t list_place = 0;  // in the one list that it is in, if any: building, bound, spares or dying
};

// What a client asks for with Create, checked in form but not yet against the store.
struct NewTensor {
  std::string name;
  protocol::TensorSpec spec;
  std::uint64_t size_bytes = 0;  // extent_bytes(spec)
  Kind kind = Kind::kSealed;
  Lifetime lifetime = Lifetime::kStore;
  bool replace = false;
  std::uint64_t room_offset_bytes = 0;  // of the first element, in its room
  std::uint64_t room_bytes = 0;         // of a new room; room_offset_bytes + size_bytes or more
  std::optional<Draft> in_room_of;      // the tensor joins the room of this one
};

class Registry {
 public:
  using GiveBack = std::function<void(const Extent&)>;
  // REQUIRES: catalog and book have the same number of slots, and stay.
  Registry(shm::CatalogWriter catalog, Book& book, mode_t namespace_mode, GiveBack give_back,
           const Quotas::Figures& limits_per_user = Quotas::kNoLimits);

  // ---- recovery (registry_recovery.cpp) ----
  // Takes over what another daemon left in catalog and book, however it ended: first the segments that there
  // are (segment_added), then the clients (restore_client), then recover(). What cannot be is left out, and
  // logged.
  //
  // The client of this place in the book, with number and grants as they are there. False: there is none.
  [[nodiscard]] bool restore_client(std::uint32_t place, const Credentials& who, shm::LedgerScanner ledger);
  // Takes an extent's place in space. False: there is no such place, or it is taken.
  using Occupy = std::function<bool(const Extent&)>;
  struct Recovered {
    // The request that was done last, and perhaps not answered; client 0: none.
    ClientId client = 0;
    protocol::RequestHeader request{};
    SlotIndex slot = 0;  // that it was about
    std::uint32_t tensors_lost = 0;
  };
  Recovered recover(const Occupy& occupy);
  // Of the batch that this client was sending: what note_batch() noted, in order.
  [[nodiscard]] std::vector<Draft> noted_batch(ClientId client);

  // ---- clients ----
  ClientId add_client(const Credentials& who, shm::LedgerScanner ledger);
  // Aborts what it was building, deletes its "client" tensors, forgets its pins.
  void remove_client(ClientId client);
  // Who the client is; null if it is not connected (any number is allowed).
  [[nodiscard]] const Credentials* who_is(ClientId client) const;
  // From now on the client's ledger counts for this segment. Fails with kNotFound (no such segment,
  // or no tensor in it any more), kPermissionDenied, kOutOfSpace (he keeps too many dying bytes).
  Result<Done> grant(ClientId client, SegmentId segment, Right right);
  void segment_added(SegmentId segment, Pool pool);
  void segment_dropped(SegmentId segment);

  // ---- tensors ----
  // May this client make this tensor? If so, the pool its space comes from. Nothing is taken yet.
  // Fails with kAlreadyExists, kPermissionDenied, kOutOfSpace (no slot, or a quota), kLimitReached.
  Result<Pool> admit(ClientId client, const NewTensor& wanted);
  // The tensor gets a slot and a room of its own, in the extent. Fails with kOutOfSpace if the last slot, or
  // what was left of a quota, went meanwhile; the extent stays the caller's then.
  Result<SlotIndex> begin(ClientId client, const NewTensor& wanted, const Pool& pool, const Placed& placed);
  // The tensor gets a slot in the room of wanted.in_room_of. Fails with kNotFound (this client is not
  // building that one), kInvalidArgument (another pool; no room for it there), kOutOfSpace.
  Result<SlotIndex> join(ClientId client, const NewTensor& wanted, const Pool& pool);
  // These fail with kNotFound unless this client is building this very tensor (slot and word).
  Result<Done> publish(ClientId client, SlotIndex slot, std::uint64_t word);
  Result<Done> abort(ClientId client, SlotIndex slot, std::uint64_t word);
  // The client gets a spare like this published tensor, in the extent, in place of one that it does not use.
  // Nothing: it uses one, or no slot is free, or a quota is; the extent stays the caller's then.
  std::optional<SlotIndex> grant_spare(ClientId client, SlotIndex like, const Placed& placed);
  // Publishes this spare as `wanted`, of which the room counts for nothing. Fails with kNotFound (the client
  // has no such spare), kAlreadyExists, kPermissionDenied, kInvalidArgument (another size, kind or
  // namespace), kOutOfSpace (he keeps too many dying bytes).
  Result<Done> publish_spare(ClientId client, const Draft& spare, const NewTensor& wanted);
  // Takes spares back; their bytes return when no client pins them. Whether there were any.
  bool take_back_spares();
  // The same with those that have not been used since the call before.
  void take_back_idle_spares();
  [[nodiscard]] bool any_spares() const { return !spares_.empty(); }
  // Notes that this draft has that place (from 1) in the batch that its client is sending; 0: in none any
  // more. A draft that is not the client's is left alone.
  void note_batch(ClientId client, const Draft& draft, std::uint32_t place);
  // Publishes all of them, or none and leaves all as they were. REQUIRES: each is noted if it is a draft.
  // Fails with kNotFound as above,
  // kAlreadyExists, kInvalidArgument (the same name or tensor twice).
  Result<Done> publish_many(ClientId client, const std::vector<Draft>& batch);
  Result<Done> remove(ClientId client, std::string_view name);
  // Fails with kNotFound; the text is what `if_none` asks for.
  [[nodiscard]] Result<SlotIndex> find(std::string_view name, IfNone if_none = IfNone::kExplain);

  // ---- reclaim ----
  void nudge(SlotIndex slot);  // any value
  void sweep();                // all dying tensors
  [[nodiscard]] bool anything_dying() const { return !dying_.empty(); }

  // ---- looking ----
  [[nodiscard]] const Tensor& tensor(SlotIndex slot) const { return *tensors_[slot]; }
  [[nodiscard]] std::uint64_t word(SlotIndex slot) const;
  // Where the live tensor lies that has, or had, this word, and that others can see; null if there is none
  // that this client may read (any values are allowed).
  [[nodiscard]] const Room* live_room(ClientId client, const Draft& tensor) const;
  // Whether this is a draft of that client.
  [[nodiscard]] bool builds(ClientId client, SlotIndex slot) {
    return slot < tensors_.size() && tensors_[slot] != nullptr &&
           building(client, {slot, word(slot)}) != nullptr;
  }
  [[nodiscard]] std::size_t drafts_of(ClientId client) const { return clients_.at(client).building.size(); }
  // Calls visit(name) for names that begin with prefix and sort after `after`, until it returns false.
  void visit_names(std::string_view prefix, std::string_view after,
                   const std::function<bool(std::string_view)>& visit) const;
  // Who holds what (registry_holders.cpp). Ordered by place, and views as the ledger says: any number.
  struct HolderPlace {
    SlotIndex slot = 0;
    ClientId client = 0;
  };
  struct Holder {
    HolderPlace place;
    HolderState state = HolderState::kAttached;
    Credentials who;
    std::uint64_t connected_unix_ns = 0;
    std::uint32_t views_untrusted = 0;
  };
  // Of what: the tensors that have this name, or had it and are dying; all that have none to be found by; or
  // all whose name begins, or began, so.
  struct HeldBy {
    protocol::Holders::Of of = protocol::Holders::Of::kName;
    std::string_view text{};  // of kNameless: whatever
  };
  // Calls visit(holder) from that place on (any values), until it returns false. May stop before, so that
  // one call does not take long. Returns where to go on; nothing: that was all. Fails, of a name, with
  // kPermissionDenied: may not read there, and `sees_all` is false. Of others it leaves that out instead.
  Result<std::optional<HolderPlace>> visit_holders(ClientId asker, bool sees_all, const HeldBy& asked_for,
                                                   HolderPlace from,
                                                   const std::function<bool(const Holder&)>& visit) const;
  static constexpr SlotIndex kSlotsLookedAt = 4096;  // by one call

  // Who sleeps (registry_waiters.cpp).
  struct Waiter {
    ClientId client = 0;
    Credentials who;
    std::string name;
    WaitsFor waits_for = WaitsFor::kName;
    std::uint64_t since_unix_ns_untrusted = 0;
  };
  // Calls visit(waiters) with all that the asker may see of one connection, at most shm::kShownWaits, in the
  // order of the connections from that number on, until it returns false. Returns the connection that it
  // returned false for.
  std::optional<ClientId> visit_waiters(ClientId asker, bool sees_all, ClientId from,
                                        const std::function<bool(const std::vector<Waiter>&)>& visit) const;

  struct Figures {
    std::uint32_t tensors = 0, building = 0, dying = 0, clients = 0;
    std::uint64_t dying_bytes = 0, spare_bytes = 0;
    std::uint64_t published = 0, published_bytes = 0, deleted = 0;  // since this daemon began
  };
  [[nodiscard]] Figures figures() const;
  [[nodiscard]] const Quotas& quotas() const { return quotas_; }

 private:
  // A tensor is in one list at most, and knows its place there: adding and removing cost no search, and
  // mostly no memory.
  using SlotList = std::vector<SlotIndex>;
  void add_to(SlotList& list, SlotIndex slot);
  void remove_from(SlotList& list, SlotIndex slot);

  struct Client {
    Credentials who;
    shm::LedgerScanner ledger;
    std::uint64_t connected_unix_ns = 0;
    std::uint32_t place = 0;  // in the book
    std::unordered_set<SegmentId> granted{};
    SlotList building{};
    std::optional<SlotIndex> spare{};
    SlotList bound{};  // published, with Lifetime::kClient
  };
  struct SegmentUse {
    Pool pool;
    // Whose pins count. Side by side, because every delete looks at all of them.
    struct Reader {
      ClientId client = 0;
      shm::LedgerScanner ledger;
    };
    std::vector<Reader> readers;
  };

  Result<SlotIndex> start(ClientId client, const NewTensor& wanted, const Pool& pool,
                          std::shared_ptr<Room> room);
  [[nodiscard]] std::optional<SlotIndex> take_slot();
  void occupy(SlotIndex slot, std::unique_ptr<Tensor> tensor);  // Free -> Building
  void show(SlotIndex slot);                                    // in the catalog, but for the word
  void enter_in_book(SlotIndex slot);
  // The request in hand is done once this slot is in that state.
  void done_when(SlotIndex slot, shm::SlotState state);
  void note_grant(const Client& client, SegmentId segment, bool granted);
  void note_reader(Client& client, ClientId id, SegmentId segment, SegmentUse& use);
  // This tensor is there, in this room, in whatever state: its owner is charged for it while it lives. Who
  // pins a dying one is found by charge_pinners(). REQUIRES: room->bill says whose it is.
  void enter_room(Tensor& tensor, std::shared_ptr<Room> room);
  // Whether this user may have one tensor more and a room of so many bytes, 0 if it joins one; his spares go
  // for it. Fails with kOutOfSpace.
  Result<Done> make_way(uid_t uid, std::uint64_t new_room_bytes);
  [[nodiscard]] Tensor* building(ClientId client, const Draft& draft);
  // Why this draft of the client's cannot be published, if it cannot.
  [[nodiscard]] Result<Done> check_publishable(ClientId client, const Draft& draft);
  void announce(SlotIndex slot);  // to those who wait for its name (Store::wait)
  void leave_drafts(ClientId client, SlotIndex slot);
  void leave_spares(SlotIndex slot);
  // Building -> Published. REQUIRES: publishable, and in no list.
  void enter(ClientId client, SlotIndex slot);
  void forget_draft(SlotIndex slot);  // from by_draft_name_
  void set_state(SlotIndex slot, shm::SlotState state);
  void let_die(SlotIndex slot);   // Building or Published -> Dying, and Free at once if unpinned
  void set_free(SlotIndex slot);  // REQUIRES: Dying, not pinned, in no list
  [[nodiscard]] bool pinned(SlotIndex slot) const;
  // Whether anybody pins this dying tensor; whoever is found to do so is charged for it
  // (registry_pinners.cpp).
  bool charge_pinners(SlotIndex slot);
  [[nodiscard]] std::vector<Holder> holders_of(SlotIndex slot, ClientId from) const;
  [[nodiscard]] std::vector<Waiter> waiters_of(ClientId client,
                                               const std::function<bool(const Waiter&)>& is_shown) const;
  [[nodiscard]] Failure not_found(std::string_view name, IfNone if_none = IfNone::kExplain) const;
  [[nodiscard]] Failure already_exists(std::string_view name) const;
  [[nodiscard]] std::string near_names(std::string_view name) const;
  [[nodiscard]] Client& client(ClientId id) { return clients_.at(id); }

  // Of recover(): by segment and offset of the extent.
  using Rooms = std::map<std::pair<SegmentId, std::uint64_t>, std::shared_ptr<Room>>;
  void restore_clients();
  std::uint32_t restore_slots(const Occupy& occupy);
  [[nodiscard]] std::unique_ptr<Tensor> read_tensor(SlotIndex slot, shm::SlotState state);
  [[nodiscard]] std::shared_ptr<Room> room_of(SlotIndex slot, const Tensor& tensor, Rooms& rooms,
                                              const Occupy& occupy);
  void restore_lists(SlotIndex slot);
  void finish_batch();
  void end_what_nobody_wants();
  void restore_index();
  void wake_all_waiters();

  shm::CatalogWriter catalog_;
  Book& book_;
  Namespaces namespaces_;
  Quotas quotas_;
  GiveBack give_back_;

  std::vector<std::unique_ptr<Tensor>> tensors_;  // by slot; null while Free
  std::vector<std::uint64_t> generations_;        // by slot
  Indexes slots_;
  Indexes client_places_;                                        // in the book
  std::pmr::unsynchronized_pool_resource nodes_;                 // of the two maps
  std::pmr::map<std::string_view, SlotIndex> by_name_{&nodes_};  // Published only; keys live in tensors_
  std::pmr::unordered_multimap<std::string_view, SlotIndex> by_draft_name_{
      &nodes_};                                // Building only; the same
  std::bitset<shm::kNameEventWords> awaited_;  // name events that somebody may wait for
  SlotList dying_;
  std::uint64_t dying_bytes_ = 0;
  std::uint64_t published_ = 0, published_bytes_ = 0, deleted_ = 0;  // since this daemon began
  SlotList spares_;
  std::uint64_t spare_bytes_ = 0;

  std::unordered_map<ClientId, Client> clients_;
  std::unordered_map<SegmentId, SegmentUse> segments_;
};

}  // namespace tensord::daemon
