// MiniStore: a whole store in ordinary memory, without sockets: a catalog, ledgers, two segments,
// and the protocol's two halves over the real classes of lib/src/shm. The client's half follows
// Connection::try_slot() and release(), the daemon's follows Registry.
//
// What the socket does in life (a request for a grant, its answer, a nudge) is a flag here. Nudges
// and requests are relaxed, so that they order nothing: ThreadSanitizer then sees only the order
// that pins and words make, which is what is to be tested.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/catalog.hpp"
#include "shm/ledger.hpp"
#include "shm/name_hash.hpp"
#include "zeroed_memory.hpp"

namespace tensord::test {

inline constexpr std::uint32_t kSlots = 6;
inline constexpr std::uint32_t kSegments = 2;  // their ids are 1 and 2
inline constexpr std::uint32_t kRegions = 4;   // places for a tensor in each
inline constexpr std::uint32_t kWords = 32;    // 64-bit words of a tensor
inline constexpr std::uint64_t kNobodysWord = 0xdead'dead'dead'dead;

// What client and daemon tell each other beside the shared memory.
struct Line {
  std::array<std::atomic<bool>, kSegments + 1> wants_grant{};
  std::array<std::atomic<bool>, kSegments + 1> granted{};
  std::array<std::atomic<bool>, kSlots> nudged{};
};

struct SharedMemory {
  SharedMemory() : catalog(shm::catalog_size_bytes(kSlots)) {
    for (auto& segment : segments) segment.assign(kRegions * kWords, kNobodysWord);
  }
  ZeroedMemory catalog;
  std::array<std::vector<std::uint64_t>, kSegments + 1> segments;
};

// ---- the client ---------------------------------------------------------------------------------

enum class Step { kFound, kPinned, kChecked };       // where a test may come between
enum class Skip { kNothing, kCheck, kSecondCheck };  // what a broken client leaves out

struct MiniView {
  std::uint32_t index = 0;
  const shm::Slot* slot = nullptr;
  const shm::SlotTail* tail = nullptr;
  const std::uint64_t* words = nullptr;
  std::uint64_t serial = 0;  // which tensor it was when it was attached

  // Reads all that a holder may rely on. Every tensor has a serial number of its own, which stands
  // in two fields of its descriptor and in each of its words: whatever was overwritten shows.
  [[nodiscard]] bool intact(std::string_view name) const {
    if (!shm::has_name(*slot, *tail, name)) return false;
    if (slot->created_unix_ns != serial || tail->layout.shape[0] != static_cast<std::int64_t>(serial))
      return false;
    for (std::uint32_t i = 0; i < kWords; ++i) {
      if (words[i] != serial) return false;
    }
    return true;
  }
};

class MiniClient {
 public:
  explicit MiniClient(SharedMemory& memory)
      : memory_(memory),
        catalog_(shm::CatalogReader::open(memory.catalog.bytes()).value()),
        ledger_memory_(shm::ledger_size_bytes(kSlots)) {
    shm::format_ledger(ledger_memory_.bytes(), kSlots);
    ledger_ = shm::Ledger::open(ledger_memory_.bytes(), kSlots).value();
  }

  // As often as not there is nothing: the name is gone, or its segment was not granted yet.
  template <Skip kSkip = Skip::kNothing, class Between>
  std::optional<MiniView> attach(std::string_view name, Between&& between) {
    std::optional<MiniView> view;
    catalog_.find(shm::name_hash(name, catalog_.hash_seed()), [&](std::uint32_t index) {
      between(Step::kFound);
      view = try_slot<kSkip>(index, name, between);
      return view.has_value();
    });
    return view;
  }

  void detach(const MiniView& view) { release(view.index); }

  Line line;

 private:
  friend class MiniDaemon;

  template <Skip kSkip, class Between>
  std::optional<MiniView> try_slot(std::uint32_t index, std::string_view name, Between&& between) {
    const shm::Slot& slot = catalog_.slot(index);
    ledger_.pin(index);
    between(Step::kPinned);
    const shm::SlotWord word = slot.load_word();
    if (kSkip != Skip::kCheck && word.state() != shm::SlotState::kPublished) return undo(index);
    between(Step::kChecked);
    const std::uint64_t segment = slot.segment.load(std::memory_order_acquire);
    if (segment == 0 || segment > kSegments) return undo(index);
    if (!line.granted[segment].load(std::memory_order_acquire)) {
      line.wants_grant[segment].store(true, std::memory_order_relaxed);
      return undo(index);
    }
    if (kSkip == Skip::kNothing && slot.load_word() != word) return undo(index);
    if (!shm::has_name(slot, catalog_.tail(index), name)) return undo(index);
    return MiniView{index, &slot, &catalog_.tail(index),
                    memory_.segments[segment].data() + slot.offset / sizeof(std::uint64_t),
                    slot.created_unix_ns};
  }

  std::optional<MiniView> undo(std::uint32_t index) {
    release(index);
    return std::nullopt;
  }

  void release(std::uint32_t index) {
    if (ledger_.unpin(index) != 0) return;
    if (catalog_.slot(index).load_word().state() != shm::SlotState::kDying) return;
    line.nudged[index].store(true, std::memory_order_relaxed);
  }

  SharedMemory& memory_;
  shm::CatalogReader catalog_;
  ZeroedMemory ledger_memory_;
  shm::Ledger ledger_;
};

// ---- the daemon ---------------------------------------------------------------------------------

class MiniDaemon {
 public:
  explicit MiniDaemon(SharedMemory& memory)
      : memory_(memory), catalog_(memory.catalog.bytes(), kSlots, kSeed, {}) {
    for (std::uint32_t index = kSlots; index-- > 0;) free_slots_.push_back(index);
    for (std::uint32_t segment = 1; segment <= kSegments; ++segment) {
      for (std::uint32_t region = 0; region < kRegions; ++region) free_regions_[segment].push_back(region);
    }
  }

  void accept(MiniClient& client) {
    clients_.push_back({&client, {client.ledger_memory_.bytes(), kSlots}, {}});
  }

  // Answers requests for grants, and looks again at what a nudge names. There is no sweep.
  void serve() {
    for (Client& client : clients_) {
      for (std::uint32_t segment = 1; segment <= kSegments; ++segment) {
        if (client.line().wants_grant[segment].exchange(false, std::memory_order_relaxed))
          grant(client, segment);
      }
      for (std::uint32_t index = 0; index < kSlots; ++index) {
        if (client.line().nudged[index].exchange(false, std::memory_order_relaxed) && tensors_[index].dying) {
          reclaim(index);
        }
      }
    }
  }
  void grant_now(MiniClient& wanted, std::uint32_t segment) {
    for (Client& client : clients_) {
      if (client.client == &wanted) grant(client, segment);
    }
  }

  // A slot and a place, and the slot's word says Building. Nothing if there is no room.
  std::optional<std::uint32_t> begin(std::string_view name, std::uint32_t segment) {
    if (free_slots_.empty() || free_regions_[segment].empty()) return std::nullopt;
    const std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    tensors_[index] = {std::string(name), segment, free_regions_[segment].front(), ++serial_, false};
    free_regions_[segment].pop_front();
    shm::Slot& slot = catalog_.slot(index);
    slot.store_word(shm::SlotWord::of(generations_[index], shm::SlotState::kBuilding));
    slot.segment.store(segment, std::memory_order_release);
    return index;
  }
  void finish(std::uint32_t index) {
    const Tensor& tensor = tensors_[index];
    shm::Slot& slot = catalog_.slot(index);
    slot.offset = tensor.region * kWords * sizeof(std::uint64_t);
    slot.size_bytes = kWords * sizeof(std::uint64_t);
    slot.created_unix_ns = tensor.serial;
    catalog_.tail(index).layout.shape[0] = static_cast<std::int64_t>(tensor.serial);
    shm::set_name(slot, catalog_.tail(index), tensor.name);
    fill(tensor, tensor.serial);
    slot.store_word(shm::SlotWord::of(generations_[index], shm::SlotState::kPublished));
    catalog_.index_insert(hash(tensor.name), index);
  }
  std::optional<std::uint32_t> publish(std::string_view name, std::uint32_t segment) {
    const auto index = begin(name, segment);
    if (index) finish(*index);
    return index;
  }

  // The name goes, the bytes wait for the last pin.
  void remove(std::uint32_t index) {
    catalog_.index_erase(hash(tensors_[index].name), index);
    catalog_.slot(index).store_word(shm::SlotWord::of(generations_[index], shm::SlotState::kDying));
    tensors_[index].dying = true;
    reclaim(index);
  }
  // What remove() does if nobody pins it; broken daemons in the tests call it regardless.
  void free_without_looking(std::uint32_t index) {
    fill(tensors_[index], kNobodysWord);
    free_regions_[tensors_[index].segment].push_back(tensors_[index].region);
    tensors_[index].dying = false;
    catalog_.slot(index).store_word(shm::SlotWord::of(++generations_[index], shm::SlotState::kFree));
    free_slots_.push_back(index);
  }

  [[nodiscard]] std::size_t free_slots() const { return free_slots_.size(); }

 private:
  static constexpr std::uint64_t kSeed = 42;
  struct Tensor {
    std::string name;
    std::uint32_t segment = 0;
    std::uint32_t region = 0;
    std::uint64_t serial = 0;
    bool dying = false;
  };
  struct Client {
    MiniClient* client;
    shm::LedgerScanner scanner;
    std::array<bool, kSegments + 1> counts;  // against this segment
    [[nodiscard]] Line& line() const { return client->line; }
  };

  static std::uint64_t hash(std::string_view name) { return shm::name_hash(name, kSeed); }

  static void grant(Client& client, std::uint32_t segment) {
    client.counts[segment] = true;  // before the client may know of it
    client.line().granted[segment].store(true, std::memory_order_release);
  }

  void reclaim(std::uint32_t index) {
    for (const Client& client : clients_) {
      if (client.counts[tensors_[index].segment] && client.scanner.pins(index)) return;
    }
    free_without_looking(index);
  }

  void fill(const Tensor& tensor, std::uint64_t word) {
    std::uint64_t* words = memory_.segments[tensor.segment].data() + tensor.region * kWords;
    for (std::uint32_t i = 0; i < kWords; ++i) words[i] = word;
  }

  SharedMemory& memory_;
  shm::CatalogWriter catalog_;
  std::array<Tensor, kSlots> tensors_{};
  std::array<std::uint64_t, kSlots> generations_{};
  std::vector<std::uint32_t> free_slots_;
  std::array<std::deque<std::uint32_t>, kSegments + 1> free_regions_;
  std::vector<Client> clients_;
  std::uint64_t serial_ = 0;
};

}  // namespace tensord::test
