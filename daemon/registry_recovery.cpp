// Recovery: the registry of a daemon that died, from the catalog and the book that it left.
//
// The slots' words are the truth: whatever was on its way when it died has happened if the word says so, and
// all the rest follows from that: names, lists, rooms, the index. What had begun and not happened is as if
// nobody had asked. A batch that had begun to be published is published to its end.
//
// Catalog and book are the daemon's own, yet each number is looked at before it is used: of a store that was
// damaged, what is sound goes on.
#include "registry.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "log.hpp"
#include "os/futex.hpp"
#include "shm/live_header.hpp"
#include "shm/name_hash.hpp"

namespace tensord::daemon {

using shm::SlotState;
using shm::SlotWord;

bool Registry::restore_client(std::uint32_t place, const Credentials& who, shm::LedgerScanner ledger) {
  const ClientEntry& entry = book_.clients()[place];
  const ClientId id = entry.id.load(std::memory_order_acquire);
  if (id == 0 || id == shm::kTornWriter) return false;
  const Client client{
      .who = who, .ledger = ledger, .connected_unix_ns = entry.connected_unix_ns, .place = place};
  if (!clients_.emplace(id, client).second) return false;
  quotas_.connected(who.uid);
  return true;
}

Registry::Recovered Registry::recover(const Occupy& occupy) {
  Recovered recovered;
  namespaces_.recover();
  restore_clients();
  recovered.tensors_lost = restore_slots(occupy);
  restore_index();
  finish_batch();

  const RequestInHand& in_hand = book_.header().in_hand;
  const ClientId asker = in_hand.client.load(std::memory_order_acquire);
  if (clients_.contains(asker) && in_hand.slot < catalog_.slot_count() &&
      catalog_.slot(in_hand.slot).load_word().bits >= in_hand.word) {
    recovered.client = asker;
    recovered.request = {static_cast<protocol::MessageType>(in_hand.type), in_hand.id};
    recovered.slot = in_hand.slot;
  }

  end_what_nobody_wants();
  sweep();
  wake_all_waiters();
  return recovered;
}

void Registry::restore_clients() {
  std::unordered_map<std::uint32_t, SegmentId> by_index;
  for (const auto& [id, use] : segments_) by_index.emplace(protocol::segment_index(id), id);
  for (auto& [id, client] : clients_) {
    for (std::uint32_t i = 0; i < protocol::kMaxSegments / 64; ++i) {
      std::uint64_t& word = book_.clients()[client.place].granted[i];
      for (std::uint64_t rest = word; rest != 0; rest &= rest - 1) {
        const auto segment = by_index.find(i * 64 + static_cast<std::uint32_t>(std::countr_zero(rest)));
        if (segment == by_index.end()) {
          word &= ~(rest & -rest);
        } else {
          note_reader(client, id, segment->second, segments_.at(segment->second));
        }
      }
    }
  }

  std::unordered_set<std::uint32_t> taken;
  for (const auto& [id, client] : clients_) taken.insert(client.place);
  const auto entries = book_.clients();
  // They are taken in order, so from one that nobody ever had on, nobody had any.
  std::uint32_t reached = 0;
  while (reached < entries.size() && entries[reached].connected_unix_ns != 0) ++reached;
  client_places_.restore(reached, [&](std::uint32_t place) {
    if (taken.contains(place)) return false;
    entries[place].id.store(0, std::memory_order_relaxed);
    return true;
  });
}

// ---- slots ------------------------------------------------------------------------------------

std::uint32_t Registry::restore_slots(const Occupy& occupy) {
  std::uint32_t lost = 0;
  Rooms rooms;
  const std::uint32_t reached = std::min(book_.header().slots_reached, catalog_.slot_count());
  for (SlotIndex slot = 0; slot < reached; ++slot) {
    const SlotWord word = catalog_.slot(slot).load_word();
    generations_[slot] = word.generation();
    if (word.state() == SlotState::kFree) continue;
    std::unique_ptr<Tensor> tensor = read_tensor(slot, word.state());
    std::shared_ptr<Room> room = tensor ? room_of(slot, *tensor, rooms, occupy) : nullptr;
    if (room == nullptr) {
      ++lost;
      log::error("slot " + std::to_string(slot) + " of the store is damaged: what it held is lost");
      catalog_.slot(slot).store_word(SlotWord::of(++generations_[slot], SlotState::kFree));
      continue;
    }
    namespaces_.tensor_came(tensor->namespace_id);
    enter_room(*tensor, std::move(room));
    tensors_[slot] = std::move(tensor);
    restore_lists(slot);
  }
  for (const auto& [place, room] : rooms) {
    if (room->bill.living == 0) dying_bytes_ += room->extent.size_bytes;
  }
  slots_.restore(reached, [&](SlotIndex slot) { return tensors_[slot] == nullptr; });
  return lost;
}

// All but its room. Null: it cannot be.
std::unique_ptr<Tensor> Registry::read_tensor(SlotIndex index, SlotState state) {
  const shm::Slot& slot = catalog_.slot(index);
  const shm::SlotTail& tail = catalog_.tail(index);
  const SlotRecord& record = book_.slot(index);
  if (state > SlotState::kDying || slot.kind > 1 || slot.lifetime > 1 || slot.ndim > kMaxDims) return nullptr;
  auto tensor = std::make_unique<Tensor>();
  tensor->state = state;
  tensor->kind = static_cast<Kind>(slot.kind);
  tensor->lifetime = static_cast<Lifetime>(slot.lifetime);
  tensor->namespace_id = record.namespace_id;
  tensor->owner = slot.owner_uid;
  tensor->creator = record.creator;
  tensor->offset_bytes = slot.offset;
  tensor->size_bytes = slot.size_bytes;
  tensor->created_unix_ns = slot.created_unix_ns;
  tensor->replace = record.replace != 0;
  tensor->publication = record.publication;
  tensor->is_spare = state == SlotState::kBuilding && record.is_spare != 0;
  if (!namespaces_.exists(record.namespace_id)) return nullptr;
  // What a spare is to be called may be half written. One that died without ever having had a name has none.
  if (tensor->is_spare || slot.name_size == 0) {
    tensor->lifetime = Lifetime::kStore;
    return tensor->is_spare || state == SlotState::kDying ? std::move(tensor) : nullptr;
  }
  tensor->name = shm::name_of(slot, tail);
  tensor->spec.dtype = slot.dtype;
  tensor->spec.ndim = slot.ndim;
  std::ranges::copy(tail.layout.shape, tensor->spec.shape);
  std::ranges::copy(tail.layout.strides, tensor->spec.strides);
  const Result<std::uint64_t> size_bytes = protocol::extent_bytes(tensor->spec);
  // A spare that died while it was being named may have the name of one and the shape of another.
  if (state == SlotState::kDying) return tensor;
  if (!protocol::check_name(tensor->name) || !namespaces_.is_of(record.namespace_id, tensor->name) ||
      !size_bytes || size_bytes.value() != slot.size_bytes) {
    return nullptr;
  }
  tensor->hash = shm::name_hash(tensor->name, catalog_.hash_seed());
  return tensor;
}

// The room that the tensor shares with others that have been read, or one that is entered now. Null: it
// cannot be there.
std::shared_ptr<Room> Registry::room_of(SlotIndex index, const Tensor& tensor, Rooms& rooms,
                                        const Occupy& occupy) {
  const SlotRecord& record = book_.slot(index);
  const SegmentId segment = catalog_.slot(index).segment.load(std::memory_order_relaxed);
  const Room room{{segment, record.extent_offset, record.extent_bytes},
                  record.room_offset,
                  record.room_bytes,
                  0,
                  {.owner = tensor.owner, .size_bytes = record.extent_bytes}};
  const auto use = segments_.find(segment);
  if (use == segments_.end() || use->second.pool != Pool{tensor.namespace_id, tensor.kind}) return nullptr;
  const auto lies_in = [](std::uint64_t offset, std::uint64_t bytes, std::uint64_t start,
                          std::uint64_t size) {
    return offset >= start && offset - start <= size && bytes <= size - (offset - start);
  };
  if (!lies_in(room.offset_bytes, room.size_bytes, room.extent.offset, room.extent.size_bytes) ||
      !lies_in(tensor.offset_bytes, tensor.size_bytes, room.offset_bytes, room.size_bytes)) {
    return nullptr;
  }
  if (tensor.kind == Kind::kLive && room.offset_bytes - room.extent.offset < shm::kLivePrefixBytes) {
    return nullptr;
  }
  const auto [found, is_new] = rooms.try_emplace({segment, room.extent.offset});
  if (is_new) {
    if (!occupy(room.extent)) {
      rooms.erase(found);
      return nullptr;
    }
    found->second = std::make_shared<Room>(room);
  }
  const Room& known = *found->second;
  const bool is_the_same = known.extent == room.extent && known.offset_bytes == room.offset_bytes &&
                           known.size_bytes == room.size_bytes;
  return is_the_same ? found->second : nullptr;
}

void Registry::restore_lists(SlotIndex slot) {
  const Tensor& tensor = *tensors_[slot];
  const auto creator = clients_.find(tensor.creator);
  const bool has_creator = creator != clients_.end();
  switch (tensor.state) {
    case SlotState::kDying: return add_to(dying_, slot);
    case SlotState::kPublished: {
      if (tensor.lifetime == Lifetime::kClient && has_creator) add_to(creator->second.bound, slot);
      const auto [named, is_first] = by_name_.emplace(tensor.name, slot);
      if (is_first || tensors_[named->second]->publication > tensor.publication) return;
      // The key lives in the older one, which goes.
      by_name_.erase(named);
      by_name_.emplace(tensor.name, slot);
      return;
    }
    case SlotState::kBuilding:
      if (tensor.is_spare) {
        add_to(spares_, slot);
        spare_bytes_ += tensor.room->extent.size_bytes;
        if (has_creator) creator->second.spare = slot;
        return;
      }
      by_draft_name_.emplace(tensor.name, slot);
      if (has_creator) add_to(creator->second.building, slot);
      return;
    case SlotState::kFree: return;
  }
}

// ---- what had begun ---------------------------------------------------------------------------

void Registry::finish_batch() {
  const ClientId id = book_.header().publishing.load(std::memory_order_acquire);
  if (id != 0) {
    if (!catalog_.in_batch()) catalog_.begin_batch();
    for (SlotIndex slot = 0; slot < slots_.reached(); ++slot) {
      const Tensor* const draft = tensors_[slot].get();
      const bool is_of_it = draft != nullptr && draft->state == SlotState::kBuilding && !draft->is_spare &&
                            draft->creator == id && book_.slot(slot).batch_place != 0;
      if (!is_of_it) continue;
      const auto creator = clients_.find(id);
      if (creator == clients_.end() && draft->lifetime == Lifetime::kClient) continue;
      if (creator != clients_.end()) remove_from(creator->second.building, slot);
      forget_draft(slot);
      enter(id, slot);
    }
    book_.header().publishing.store(0, std::memory_order_release);
  }
  if (catalog_.in_batch()) catalog_.end_batch();
}

void Registry::end_what_nobody_wants() {
  for (SlotIndex slot = 0; slot < slots_.reached(); ++slot) {
    const Tensor* const tensor = tensors_[slot].get();
    if (tensor == nullptr || tensor->state == SlotState::kDying) continue;
    const bool is_ownerless = !clients_.contains(tensor->creator);
    if (tensor->state == SlotState::kPublished) {
      const auto named = by_name_.find(tensor->name);
      const bool was_replaced = named == by_name_.end() || named->second != slot;
      if (was_replaced || (is_ownerless && tensor->lifetime == Lifetime::kClient)) let_die(slot);
      continue;
    }
    const auto creator = clients_.find(tensor->creator);
    const bool is_older_spare = tensor->is_spare && !is_ownerless && creator->second.spare != slot;
    if (is_ownerless || is_older_spare) let_die(slot);
  }
}

// It may be half changed.
void Registry::restore_index() {
  catalog_.index_clear();
  for (const auto& [name, slot] : by_name_) catalog_.index_insert(tensors_[slot]->hash, slot);
}

void Registry::wake_all_waiters() {
  // Whoever waits for a name looks again, and says again that he waits.
  for (std::uint64_t event = 0; event < shm::kNameEventWords; ++event) {
    os::futex_wake_all(catalog_.announce(event));
  }
}

std::vector<Draft> Registry::noted_batch(ClientId id) {
  SlotList batch = client(id).building;
  std::erase_if(batch, [&](SlotIndex slot) { return book_.slot(slot).batch_place == 0; });
  std::ranges::sort(batch, {}, [&](SlotIndex slot) { return book_.slot(slot).batch_place; });
  std::vector<Draft> drafts;
  for (const SlotIndex slot : batch) drafts.push_back({slot, word(slot)});
  return drafts;
}

}  // namespace tensord::daemon
