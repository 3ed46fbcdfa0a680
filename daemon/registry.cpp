// The order in publish() and remove() is what readers live by: a name that is replaced resolves at
// every moment, to the old tensor or to the new one; a name that is removed is out of the index
// before its slot is marked, so that no reader is sent there in vain for long.
#include "registry.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "near_names.hpp"
#include "os/crash_point.hpp"
#include "os/futex.hpp"
#include "shm/live_header.hpp"
#include "shm/name_hash.hpp"
#include "unix_time.hpp"

namespace tensord::daemon {
namespace {

using os::crash_point;
using protocol::quoted;

// Of an error's 1,004 bytes, beside the name that was not found.
constexpr std::size_t kMaxSuggestedBytes = 600;
static_assert(kMaxSuggestedBytes >= kMaxNameSize);

using shm::SlotState;
using shm::SlotWord;

// Ends the batch even if something throws: a sequence that stays odd would send every attach_many here.
class Together {
 public:
  explicit Together(shm::CatalogWriter& catalog) : catalog_(catalog) { catalog_.begin_batch(); }
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;
  ~Together() { catalog_.end_batch(); }

 private:
  shm::CatalogWriter& catalog_;
};

Failure no_such_draft() { return {Errc::kNotFound, "this connection is building no such tensor"}; }

}  // namespace

Registry::Registry(shm::CatalogWriter catalog, Book& book, mode_t namespace_mode, GiveBack give_back,
                   const Quotas::Figures& limits_per_user)
    : catalog_(catalog),
      book_(book),
      namespaces_(book_, namespace_mode),
      quotas_(limits_per_user),
      give_back_(std::move(give_back)),
      tensors_(catalog.slot_count()),
      generations_(catalog.slot_count()),
      slots_(catalog.slot_count()),
      client_places_(kMaxClients) {
  assert(catalog.slot_count() == book_.slot_count());
}

// ---- clients ----------------------------------------------------------------------------------

ClientId Registry::add_client(const Credentials& who, shm::LedgerScanner ledger) {
  // After four billion connections numbers come again; not while somebody has them, and never the
  // two that mean nobody.
  ClientId& last = book_.header().last_client;
  do {
    ++last;
  } while (last == 0 || last == shm::kTornWriter || clients_.contains(last));
  const ClientId id = last;
  const std::optional<std::uint32_t> place = client_places_.take();
  assert(place && "--max-connections is at most kMaxClients");
  ClientEntry& entry = book_.clients()[*place];
  entry.connected_unix_ns = unix_now_ns();
  std::ranges::fill(entry.granted, 0);
  entry.id.store(id, std::memory_order_release);
  clients_.emplace(
      id,
      Client{.who = who, .ledger = ledger, .connected_unix_ns = entry.connected_unix_ns, .place = *place});
  quotas_.connected(who.uid);
  return id;
}

const Credentials* Registry::who_is(ClientId id) const {
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : &found->second.who;
}

void Registry::remove_client(ClientId id) {
  auto gone = clients_.extract(id);
  if (gone.empty()) return;
  Client& client = gone.mapped();
  quotas_.disconnected(client.who.uid);
  for (const SegmentId segment : client.granted) {
    const auto use = segments_.find(segment);
    if (use == segments_.end()) continue;
    std::erase_if(use->second.readers, [&](const SegmentUse::Reader& reader) { return reader.client == id; });
  }
  // Its lists go with it, so nothing is removed from them.
  for (const SlotIndex slot : client.building) let_die(slot);
  for (const SlotIndex slot : client.bound) let_die(slot);
  if (client.spare) let_die(*client.spare);
  crash_point("client.goes");
  book_.clients()[client.place].id.store(0, std::memory_order_release);
  client_places_.give_back(client.place);
  sweep();
}

void Registry::segment_added(SegmentId segment, Pool pool) {
  segments_.emplace(segment, SegmentUse{pool, {}});
}

void Registry::segment_dropped(SegmentId segment) {
  const auto use = segments_.find(segment);
  for (const SegmentUse::Reader& reader : use->second.readers) {
    client(reader.client).granted.erase(segment);
    note_grant(client(reader.client), segment, false);
  }
  segments_.erase(use);
}

void Registry::note_grant(const Client& client, SegmentId segment, bool granted) {
  const std::uint32_t index = protocol::segment_index(segment);
  std::uint64_t& word = book_.clients()[client.place].granted[index / 64];
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  word = granted ? word | bit : word & ~bit;
}

void Registry::note_reader(Client& client, ClientId id, SegmentId segment, SegmentUse& use) {
  if (client.granted.insert(segment).second) use.readers.push_back({id, client.ledger});
}

Result<Done> Registry::grant(ClientId id, SegmentId segment, Right right) {
  const auto use = segments_.find(segment);
  if (use == segments_.end())
    return Failure{Errc::kNotFound, "that segment is not in the store any more: its last tensor was deleted"};
  Client& grantee = client(id);
  if (const Result<Done> allowed = namespaces_.check(use->second.pool.namespace_id, grantee.who, right);
      !allowed) {
    return allowed.failure();
  }
  if (const Result<Done> allowed = quotas_.may_attach(grantee.who.uid); !allowed) return allowed;
  note_grant(grantee, segment, true);
  note_reader(grantee, id, segment, use->second);
  crash_point("segment.granted");
  return Done{};
}

// ---- making tensors ---------------------------------------------------------------------------

Result<Pool> Registry::admit(ClientId id, const NewTensor& wanted) {
  const Result<Namespace*> space = namespaces_.find_or_make(wanted.name, client(id).who);
  if (!space) return space.failure();
  if (!wanted.replace && by_name_.contains(wanted.name)) return already_exists(wanted.name);
  if (!slots_.any_free()) take_back_spares();
  if (!slots_.any_free()) {
    return Failure{Errc::kOutOfSpace, "the store holds " + std::to_string(catalog_.slot_count()) +
                                          " tensors, which is its limit (--max-tensors): delete some"};
  }
  const std::uint64_t new_room_bytes = wanted.in_room_of ? 0 : wanted.room_bytes;
  if (const Result<Done> way = make_way(client(id).who.uid, new_room_bytes); !way) return way.failure();
  return Pool{space.value()->id, wanted.kind};
}

Result<SlotIndex> Registry::begin(ClientId id, const NewTensor& wanted, const Pool& pool,
                                  const Placed& placed) {
  assert(wanted.room_offset_bytes <= wanted.room_bytes &&
         wanted.size_bytes <= wanted.room_bytes - wanted.room_offset_bytes);
  const RoomBill bill{.owner = client(id).who.uid, .size_bytes = placed.extent.size_bytes};
  return start(id, wanted, pool,
               std::make_shared<Room>(Room{placed.extent, placed.offset_bytes, wanted.room_bytes, 0, bill}));
}

Result<SlotIndex> Registry::join(ClientId id, const NewTensor& wanted, const Pool& pool) {
  const Tensor* const other = building(id, *wanted.in_room_of);
  if (other == nullptr) return no_such_draft();
  const auto refuse = [&](const std::string& why) {
    return Failure{Errc::kInvalidArgument, quoted(wanted.name) + " cannot share memory with " +
                                               quoted(other->name) + ": " + why + "; put it by itself"};
  };
  if (Pool{other->namespace_id, other->kind} != pool) {
    return refuse("tensors that do are of one namespace and one kind");
  }
  const Room& room = *other->room;
  if (wanted.room_offset_bytes > room.size_bytes ||
      wanted.size_bytes > room.size_bytes - wanted.room_offset_bytes) {
    return refuse("it reaches past the room of " + std::to_string(room.size_bytes) + " bytes");
  }
  return start(id, wanted, pool, other->room);
}

Result<SlotIndex> Registry::start(ClientId id, const NewTensor& wanted, const Pool& pool,
                                  std::shared_ptr<Room> room) {
  // The namespace once more: while the space was made, it may have been forgotten.
  const Result<Namespace*> space = namespaces_.find_or_make(wanted.name, client(id).who);
  if (!space) return space.failure();
  if (space.value()->id != pool.namespace_id) {
    return Failure{Errc::kInternal,
                   "the namespace of " + quoted(wanted.name) + " changed meanwhile: try again"};
  }
  // And the quota, of which another client of the user may have taken meanwhile.
  const std::uint64_t new_room_bytes = room->tensors == 0 ? room->bill.size_bytes : 0;
  if (const Result<Done> way = make_way(client(id).who.uid, new_room_bytes); !way) return way.failure();
  const std::optional<SlotIndex> taken = take_slot();
  if (!taken)
    return Failure{Errc::kOutOfSpace, "the last free slot of the store was just taken: delete a tensor"};
  const SlotIndex index = *taken;
  ++space.value()->tensors;

  auto tensor = std::make_unique<Tensor>();
  tensor->name = wanted.name;
  tensor->hash = shm::name_hash(wanted.name, catalog_.hash_seed());
  tensor->spec = wanted.spec;
  tensor->kind = wanted.kind;
  tensor->lifetime = wanted.lifetime;
  tensor->replace = wanted.replace;
  tensor->namespace_id = pool.namespace_id;
  tensor->owner = client(id).who.uid;
  tensor->creator = id;
  tensor->offset_bytes = room->offset_bytes + wanted.room_offset_bytes;
  tensor->size_bytes = wanted.size_bytes;
  tensor->created_unix_ns = unix_now_ns();
  enter_room(*tensor, std::move(room));

  by_draft_name_.emplace(tensor->name, index);
  done_when(index, SlotState::kBuilding);
  occupy(index, std::move(tensor));
  crash_point("draft.begun");
  add_to(client(id).building, index);
  return index;
}

void Registry::occupy(SlotIndex index, std::unique_ptr<Tensor> tensor) {
  tensors_[index] = std::move(tensor);
  show(index);
  enter_in_book(index);
  crash_point("slot.described");
  catalog_.slot(index).store_word(SlotWord::of(generations_[index], SlotState::kBuilding));
}

void Registry::enter_in_book(SlotIndex index) {
  const Tensor& tensor = *tensors_[index];
  const Room& room = *tensor.room;
  SlotRecord& record = book_.slot(index);
  record.creator = tensor.creator;
  record.namespace_id = tensor.namespace_id;
  record.extent_offset = room.extent.offset;
  record.extent_bytes = room.extent.size_bytes;
  record.room_offset = room.offset_bytes;
  record.room_bytes = room.size_bytes;
  record.batch_place = 0;
  record.replace = tensor.replace ? 1 : 0;
  record.is_spare = tensor.is_spare ? 1 : 0;
}

void Registry::done_when(SlotIndex slot, SlotState state) {
  book_.done_by(slot, SlotWord::of(generations_[slot], state).bits);
}

void Registry::enter_room(Tensor& tensor, std::shared_ptr<Room> room) {
  ++room->tensors;
  if (tensor.state != SlotState::kDying) quotas_.tensor_came(room->bill);
  tensor.room = std::move(room);
}

void Registry::show(SlotIndex index) {
  const Tensor& tensor = *tensors_[index];
  shm::Slot& slot = catalog_.slot(index);
  slot.segment.store(tensor.room->extent.segment, std::memory_order_release);
  slot.offset = tensor.offset_bytes;
  slot.size_bytes = tensor.size_bytes;
  slot.live_header_offset =
      tensor.kind == Kind::kLive ? tensor.room->offset_bytes - shm::kLivePrefixBytes : 0;
  slot.created_unix_ns = tensor.created_unix_ns;
  slot.owner_uid = tensor.owner;
  slot.dtype = tensor.spec.dtype;
  slot.ndim = static_cast<std::uint8_t>(tensor.spec.ndim);
  slot.kind = static_cast<std::uint8_t>(tensor.kind);
  slot.lifetime = static_cast<std::uint8_t>(tensor.lifetime);
  shm::SlotTail& tail = catalog_.tail(index);
  shm::set_name(slot, tail, tensor.name);
  std::copy_n(tensor.spec.shape, kMaxDims, tail.layout.shape);
  std::copy_n(tensor.spec.strides, kMaxDims, tail.layout.strides);
}

std::optional<SlotIndex> Registry::take_slot() {
  const std::optional<SlotIndex> slot = slots_.take();
  book_.header().slots_reached = slots_.reached();
  return slot;
}

Tensor* Registry::building(ClientId id, const Draft& draft) {
  if (draft.slot >= tensors_.size()) return nullptr;
  Tensor* const tensor = tensors_[draft.slot].get();
  const bool ours = tensor != nullptr && tensor->creator == id && tensor->state == SlotState::kBuilding &&
                    !tensor->is_spare;
  return ours && draft.word == word(draft.slot) ? tensor : nullptr;
}

Result<Done> Registry::check_publishable(ClientId id, const Draft& draft) {
  const Tensor* const fresh = building(id, draft);
  if (fresh == nullptr) return no_such_draft();
  if (!fresh->replace && by_name_.contains(fresh->name)) return already_exists(fresh->name);
  return Done{};
}

void Registry::announce(SlotIndex slot) {
  const std::uint64_t hash = tensors_[slot]->hash;
  const void* const event = catalog_.announce(hash);
  // A wake-up is a system call. Whoever wakes without having found his name says again that he waits.
  const std::size_t which = hash % shm::kNameEventWords;
  if (!awaited_[which]) return;
  awaited_[which] = false;
  os::futex_wake_all(event);
}

void Registry::add_to(SlotList& list, SlotIndex slot) {
  tensors_[slot]->list_place = list.size();
  list.push_back(slot);
}

void Registry::remove_from(SlotList& list, SlotIndex slot) {
  const std::size_t place = tensors_[slot]->list_place;
  assert(list[place] == slot);
  list[place] = list.back();
  tensors_[list[place]]->list_place = place;
  list.pop_back();
}

void Registry::leave_drafts(ClientId id, SlotIndex slot) {
  remove_from(client(id).building, slot);
  forget_draft(slot);
}

void Registry::enter(ClientId id, SlotIndex slot) {
  Tensor& fresh = *tensors_[slot];
  if (fresh.lifetime == Lifetime::kClient) add_to(client(id).bound, slot);
  fresh.publication = ++book_.header().publications;
  book_.slot(slot).publication = fresh.publication;
  crash_point("tensor.enters");
  set_state(slot, SlotState::kPublished);
  crash_point("tensor.entered");
  ++published_;
  published_bytes_ += fresh.size_bytes;
  catalog_.index_insert(fresh.hash, slot);
  auto place = by_name_.lower_bound(fresh.name);
  if (place == by_name_.end() || place->first != fresh.name) {
    by_name_.emplace_hint(place, fresh.name, slot);
    return;
  }
  const SlotIndex replaced = place->second;
  // The key lives in the tensor that goes; the node stays where it is.
  const auto next = std::next(place);
  auto node = by_name_.extract(place);
  node.key() = fresh.name;
  node.mapped() = slot;
  by_name_.insert(next, std::move(node));
  let_die(replaced);
}

Result<Done> Registry::publish(ClientId id, SlotIndex slot, std::uint64_t word) {
  const Result<Done> publishable = check_publishable(id, {slot, word});
  if (!publishable) return publishable;
  leave_drafts(id, slot);
  done_when(slot, SlotState::kPublished);
  enter(id, slot);
  crash_point("tensor.published");
  announce(slot);
  return Done{};
}

void Registry::note_batch(ClientId id, const Draft& draft, std::uint32_t place) {
  if (building(id, draft) != nullptr) book_.slot(draft.slot).batch_place = place;
}

Result<Done> Registry::publish_many(ClientId id, const std::vector<Draft>& batch) {
  std::pmr::monotonic_buffer_resource memory;
  std::pmr::unordered_set<std::string_view> names(batch.size(), &memory);
  for (const Draft& draft : batch) {
    const Result<Done> publishable = check_publishable(id, draft);
    if (!publishable) return publishable;
    const std::string& name = tensors_[draft.slot]->name;
    if (!names.insert(name).second) {
      return Failure{Errc::kInvalidArgument,
                     "two tensors of the batch are named " + quoted(name) + ": give each a name of its own"};
    }
  }
  if (batch.empty()) return Done{};
  {
    const Together together(catalog_);
    done_when(batch.front().slot, SlotState::kPublished);
    crash_point("batch.checked");
    book_.header().publishing.store(id, std::memory_order_release);
    crash_point("batch.begins");
    for (const Draft& draft : batch) {
      leave_drafts(id, draft.slot);
      enter(id, draft.slot);
    }
    book_.header().publishing.store(0, std::memory_order_release);
    crash_point("batch.entered");
  }
  for (const Draft& draft : batch) announce(draft.slot);
  return Done{};
}

Result<Done> Registry::abort(ClientId id, SlotIndex slot, std::uint64_t word) {
  if (building(id, {slot, word}) == nullptr) return no_such_draft();
  remove_from(client(id).building, slot);
  done_when(slot, SlotState::kDying);
  let_die(slot);
  return Done{};
}

Result<Done> Registry::remove(ClientId id, std::string_view name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return not_found(name);
  if (const Result<Done> allowed = namespaces_.check(name, client(id).who, Right::kWrite); !allowed)
    return allowed;
  done_when(found->second, SlotState::kDying);
  let_die(found->second);
  return Done{};
}

// ---- reclaim ----------------------------------------------------------------------------------

void Registry::set_state(SlotIndex slot, SlotState state) {
  tensors_[slot]->state = state;
  catalog_.slot(slot).store_word(SlotWord::of(generations_[slot], state));
}

void Registry::forget_draft(SlotIndex slot) {
  const auto [first, last] = by_draft_name_.equal_range(tensors_[slot]->name);
  by_draft_name_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == slot; }));
}

void Registry::let_die(SlotIndex slot) {
  Tensor& tensor = *tensors_[slot];
  if (tensor.state == SlotState::kPublished) {
    ++deleted_;
    // After a replacement the name belongs to the successor.
    if (const auto named = by_name_.find(tensor.name); named != by_name_.end() && named->second == slot) {
      by_name_.erase(named);
    }
    catalog_.index_erase(tensor.hash, slot);
    if (tensor.lifetime == Lifetime::kClient) {
      if (const auto creator = clients_.find(tensor.creator); creator != clients_.end()) {
        remove_from(creator->second.bound, slot);
      }
    }
  } else {
    assert(tensor.state == SlotState::kBuilding);
    if (tensor.is_spare) {
      leave_spares(slot);
    } else {
      forget_draft(slot);
    }
  }
  crash_point("tensor.unlisted");
  set_state(slot, SlotState::kDying);
  crash_point("tensor.dies");
  quotas_.tensor_dies(tensor.room->bill);
  if (tensor.room->bill.living == 0) dying_bytes_ += tensor.room->extent.size_bytes;
  if (charge_pinners(slot)) {
    add_to(dying_, slot);
  } else {
    set_free(slot);
  }
}

bool Registry::pinned(SlotIndex slot) const {
  const auto& readers = segments_.find(tensors_[slot]->room->extent.segment)->second.readers;
  return std::ranges::any_of(readers, [&](const auto& reader) { return reader.ledger.pins(slot); });
}

void Registry::set_free(SlotIndex slot) {
  const std::unique_ptr<Tensor> gone = std::move(tensors_[slot]);
  ++generations_[slot];
  catalog_.slot(slot).store_word(SlotWord::of(generations_[slot], SlotState::kFree));
  crash_point("slot.freed");
  slots_.give_back(slot);
  namespaces_.tensor_gone(gone->namespace_id);
  if (--gone->room->tensors == 0) {
    dying_bytes_ -= gone->room->extent.size_bytes;
    give_back_(gone->room->extent);
  }
}

void Registry::nudge(SlotIndex slot) {
  if (slot >= tensors_.size() || tensors_[slot] == nullptr) return;
  if (tensors_[slot]->state != SlotState::kDying || charge_pinners(slot)) return;
  remove_from(dying_, slot);
  set_free(slot);
}

void Registry::sweep() {
  // From behind: what is removed makes room for one that has been looked at.
  for (std::size_t i = dying_.size(); i-- > 0;) nudge(dying_[i]);
}

// ---- looking ----------------------------------------------------------------------------------

std::uint64_t Registry::word(SlotIndex slot) const {
  return SlotWord::of(generations_[slot], tensors_[slot]->state).bits;
}

const Room* Registry::live_room(ClientId id, const Draft& named) const {
  if (named.slot >= tensors_.size() || tensors_[named.slot] == nullptr) return nullptr;
  const Tensor& tensor = *tensors_[named.slot];
  const bool is_that_one = SlotWord{named.word}.generation() == generations_[named.slot];
  const bool is_visible = tensor.state == SlotState::kPublished || tensor.state == SlotState::kDying;
  if (!is_that_one || !is_visible || tensor.kind != Kind::kLive) return nullptr;
  return namespaces_.check(tensor.namespace_id, clients_.at(id).who, Right::kRead) ? tensor.room.get()
                                                                                   : nullptr;
}

Result<SlotIndex> Registry::find(std::string_view name, IfNone if_none) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    if (if_none == IfNone::kWait)
      awaited_[shm::name_hash(name, catalog_.hash_seed()) % shm::kNameEventWords] = true;
    return not_found(name, if_none);
  }
  return found->second;
}

void Registry::visit_names(std::string_view prefix, std::string_view after,
                           const std::function<bool(std::string_view)>& visit) const {
  auto it = after >= prefix && !after.empty() ? by_name_.upper_bound(after) : by_name_.lower_bound(prefix);
  for (; it != by_name_.end() && it->first.starts_with(prefix); ++it) {
    if (!visit(it->first)) return;
  }
}

Registry::Figures Registry::figures() const {
  return {static_cast<std::uint32_t>(by_name_.size()),
          static_cast<std::uint32_t>(by_draft_name_.size()),
          static_cast<std::uint32_t>(dying_.size()),
          static_cast<std::uint32_t>(clients_.size()),
          dying_bytes_,
          spare_bytes_,
          published_,
          published_bytes_,
          deleted_};
}

Failure Registry::already_exists(std::string_view name) const {
  return {Errc::kAlreadyExists, "a tensor named " + quoted(name) +
                                    " exists already: delete it first, or replace it (replace=True)"};
}

Failure Registry::not_found(std::string_view name, IfNone if_none) const {
  // Near names take a search, of which a client that asks often should not be the cause.
  if (if_none == IfNone::kSayNothing || if_none == IfNone::kWait) return {Errc::kNotFound, ""};
  std::string text = "no tensor is named " + quoted(name);
  if (const auto draft = by_draft_name_.find(name); draft != by_draft_name_.end()) {
    text += " yet; pid " + std::to_string(clients_.at(tensors_[draft->second]->creator).who.pid) +
            " is building one";
  } else if (if_none == IfNone::kGiveUp) {
    text += ", and nobody is building one";
  }
  if (const std::string near = near_names(name); !near.empty()) {
    text += "; did you mean " + near + "?";
  } else if (by_name_.empty()) {
    text += ": the store is empty";
  }
  return {Errc::kNotFound, std::move(text)};
}

std::string Registry::near_names(std::string_view name) const {
  // A misspelt name mostly shares its namespace, so the search begins there.
  NearNames nearest(name);
  const auto first = by_name_.lower_bound(protocol::namespace_of(name));
  auto it = first;
  for (; it != by_name_.end() && nearest.look_at(it->first); ++it) {
  }
  for (it = by_name_.begin(); it != first && nearest.look_at(it->first); ++it) {
  }
  std::string text;
  for (const std::string_view found : nearest.best()) {
    // Long names are shown whole or not at all: the reply has an end.
    if (text.size() + found.size() > kMaxSuggestedBytes) break;
    text += (text.empty() ? "" : " or ") + quoted(found);
  }
  return text;
}

}  // namespace tensord::daemon
