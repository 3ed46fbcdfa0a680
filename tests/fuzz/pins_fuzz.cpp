// The daemon's scanners over ledgers that their clients fill with garbage, while tensors are made, replaced
// and deleted. What must hold: a tensor's bytes come back exactly once; never while a client that was granted
// them pins them; and all of them once everybody has left. Meanwhile somebody is charged for every byte, and
// nobody has more of his own than his quota.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "input.hpp"
#include "registry.hpp"
#include "shm/name_hash.hpp"
#include "zeroed_memory.hpp"

using namespace tensord;
using namespace tensord::daemon;
using fuzz::Input;
using fuzz::require;
using test::ZeroedMemory;

namespace {

constexpr std::uint32_t kSlots = 1100;  // a second chunk of counters
constexpr SegmentId kSegments[] = {1 << 14 | 1, 2 << 14 | 2};
constexpr std::size_t kClients = 3;
constexpr std::uint64_t kTensorBytes = 64;
constexpr Quotas::Figures kPerUser{.bytes = 40 * kTensorBytes,
                                   .tensors = Quotas::kNoLimit,
                                   .connections = Quotas::kNoLimit,
                                   .dying_bytes = 20 * kTensorBytes};

NewTensor wanted(Input& input) {
  static const std::string names[] = {"a", "b", "c", "ns/a", "ns/b", std::string(200, 'n')};
  NewTensor tensor;
  tensor.name = names[input.below(std::size(names))];
  const std::int64_t shape[] = {16};
  tensor.spec = protocol::make_contiguous_spec(kFloat32, shape).value();
  tensor.size_bytes = kTensorBytes;
  tensor.room_bytes = kTensorBytes;
  const std::uint8_t flags = input.byte();
  tensor.replace = (flags & 1) != 0;
  tensor.lifetime = (flags & 2) != 0 ? Lifetime::kClient : Lifetime::kStore;
  return tensor;
}

class World {
 public:
  explicit World(Input& input) : input_(input) {
    for (std::size_t i = 0; i < kClients; ++i) join(i);
  }

  void step() {
    const std::size_t who = input_.below(kClients);
    Member& member = members_[who];
    switch (input_.below(12)) {
      case 0:
      case 1: return make(member);
      case 2: return end(member, /*publish=*/true);
      case 3: return end(member, /*publish=*/false);
      case 4: static_cast<void>(registry_.remove(member.id, wanted(input_).name)); return;
      case 5: return scribble(member);
      case 6: return pin(member);
      case 7:
        return registry_.nudge(input_.flip() ? static_cast<SlotIndex>(input_.number())
                                             : static_cast<SlotIndex>(input_.below(8)));
      case 8: return registry_.sweep();
      case 9: return grant(member);
      case 10: std::ranges::fill(member.memory->bytes(), static_cast<std::byte>(input_.byte())); return;
      default:
        leave(member);
        check_drafts_gone(member);
        return join(who);
    }
  }

  void check() {
    const Registry::Figures figures = registry_.figures();
    std::size_t count[4] = {};
    for (SlotIndex slot = 0; slot < kSlots; ++slot) {
      const shm::SlotState state = reader_.slot(slot).load_word().state();
      ++count[static_cast<std::size_t>(state)];
      if (state == shm::SlotState::kFree) continue;
      if (state == shm::SlotState::kPublished) check_found(slot);
    }
    require(count[1] == figures.building && count[2] == figures.tensors && count[3] == figures.dying,
            "the catalog shows as many tensors as the registry counts");
    require(figures.dying_bytes == figures.dying * kTensorBytes, "the bytes of the dying are counted");
    require(taken_.size() == count[1] + count[2] + count[3], "a tensor's bytes come back once it is free");
    require(figures.clients == kClients, "clients are counted");
    check_quotas(figures);
  }

  void end_all() {
    for (Member& member : members_) leave(member);
    const ClientId last = registry_.add_client({9, 0, 0}, shm::LedgerScanner(nobody_.bytes(), kSlots));
    std::vector<std::string> names;
    registry_.visit_names("", "", [&](std::string_view name) { return names.emplace_back(name), true; });
    for (const std::string& name : names) require(bool(registry_.remove(last, name)), "root deletes");
    require(taken_.empty(), "after all have left, every byte is back");
    require(!registry_.anything_dying() && registry_.figures().building == 0, "and nothing is left behind");
    registry_.remove_client(last);
    registry_.quotas().visit(0, [](uid_t, const Quotas::Figures&) -> bool {
      require(false, "nobody owes");
      return false;
    });
  }

 private:
  struct Member {
    std::unique_ptr<ZeroedMemory> memory;
    ClientId id = 0;
    std::vector<Draft> drafts;
    bool granted[std::size(kSegments)] = {};
  };

  void join(std::size_t who) {
    Member& member = members_[who];
    member = {std::make_unique<ZeroedMemory>(shm::ledger_size_bytes(kSlots)), 0, {}, {}};
    shm::format_ledger(member.memory->bytes(), kSlots);
    member.id = registry_.add_client({static_cast<pid_t>(who + 1), static_cast<uid_t>(who), 0},
                                     shm::LedgerScanner(member.memory->bytes(), kSlots));
  }

  void leave(Member& member) {
    std::ranges::fill(member.granted, false);  // his pins count no more
    registry_.remove_client(member.id);
  }

  void make(Member& member) {
    NewTensor tensor = wanted(input_);
    Result<Pool> pool = registry_.admit(member.id, tensor);
    if (!pool) return;
    // One segment for each pool: two namespaces, one kind.
    const std::size_t which = pools_.try_emplace(pool->namespace_id, pools_.size()).first->second;
    if (which >= std::size(kSegments)) return;
    if (!known_[which]) registry_.segment_added(kSegments[which], *pool);
    known_[which] = true;
    const Extent extent{kSegments[which], ++last_offset_ * kTensorBytes, kTensorBytes};
    auto slot = registry_.begin(member.id, tensor, *pool, {extent, extent.offset});
    if (!slot) return;
    taken_.emplace(extent.offset, *slot);
    member.drafts.push_back({*slot, registry_.word(*slot)});
  }

  void end(Member& member, bool publish) {
    Draft draft{static_cast<SlotIndex>(input_.below(16)), input_.number()};
    if (!member.drafts.empty() && input_.below(8) != 0) {
      draft = member.drafts[input_.below(std::min<std::size_t>(member.drafts.size(), 256))];
    }
    end_draft(member, draft, publish);
  }
  void end_draft(Member& member, const Draft& draft, bool publish) {
    const auto done = publish ? registry_.publish(member.id, draft.slot, draft.word)
                              : registry_.abort(member.id, draft.slot, draft.word);
    if (!done) return;
    std::erase_if(member.drafts, [&](const Draft& other) { return other.slot == draft.slot; });
  }

  void grant(Member& member) {
    const std::size_t which = input_.below(std::size(kSegments));
    if (registry_.grant(member.id, kSegments[which], Right::kRead)) member.granted[which] = true;
  }

  // An honest pin among the garbage: through Ledger, if its header is still one.
  void pin(Member& member) {
    auto ledger = shm::Ledger::open(member.memory->bytes(), kSlots);
    if (!ledger) return;
    const auto slot =
        static_cast<SlotIndex>(input_.flip() ? input_.below(8) : input_.take<std::uint16_t>() % kSlots);
    input_.flip() ? ledger->pin(slot) : ledger->unpin(slot);
  }
  void scribble(Member& member) {
    const auto bytes = member.memory->bytes();
    // Where it counts: what was touched, the first counters, those of the second chunk.
    const std::size_t where = input_.below(4);
    if (where == 0) return input_.scribble(bytes);
    const std::size_t at = where == 1   ? offsetof(shm::LedgerHeader, touched)
                           : where == 2 ? shm::kLedgerCountersOffset
                                        : shm::kLedgerCountersOffset + shm::kCountersPerChunk * 4;
    input_.scribble(bytes.subspan(at, 64));
  }

  [[nodiscard]] bool pinned(SlotIndex slot, std::size_t segment) const {
    return std::ranges::any_of(members_, [&](const Member& member) {
      return member.granted[segment] && shm::LedgerScanner(member.memory->bytes(), kSlots).pins(slot);
    });
  }

  void given_back(const Extent& extent) {
    const auto found = taken_.find(extent.offset);
    require(found != taken_.end(), "bytes come back once");
    const std::size_t segment = extent.segment == kSegments[0] ? 0 : 1;
    require(!pinned(found->second, segment), "bytes do not come back while somebody pins them");
    taken_.erase(found);
  }

  void check_quotas(const Registry::Figures& figures) {
    Quotas::Figures sum;
    registry_.quotas().visit(0, [&](uid_t, const Quotas::Figures& user) {
      require(user.bytes <= kPerUser.bytes, "nobody has more than his quota");
      require(user.dying_bytes <= figures.dying_bytes, "nobody keeps what is not there");
      sum.bytes += user.bytes;
      sum.tensors += user.tensors;
      sum.connections += user.connections;
      sum.dying_bytes += user.dying_bytes;
      return true;
    });
    const std::size_t living = figures.building + figures.tensors;
    require(sum.bytes == living * kTensorBytes, "what lives is charged to its owner");
    require(sum.dying_bytes >= figures.dying_bytes, "what is dying is charged to somebody");
    require(sum.tensors - living == sum.dying_bytes / kTensorBytes, "and so is its slot");
    require(sum.connections == kClients, "connections are charged");
  }

  void check_found(SlotIndex slot) {
    const shm::Slot& shown = reader_.slot(slot);
    const std::string_view name = shm::name_of(shown, reader_.tail(slot));
    bool found = false;
    reader_.find(shm::name_hash(name, reader_.hash_seed()),
                 [&](std::uint32_t candidate) { return candidate == slot ? found = true : false; });
    require(found, "the index knows every published tensor");
    const Result<SlotIndex> known = registry_.find(name);
    require(bool(known) && known.value() == slot, "a published name is this tensor's");
  }

  void check_drafts_gone(const Member& member) {
    for (const Draft& draft : member.drafts) {
      require(reader_.slot(draft.slot).load_word().bits != draft.word, "who leaves builds nothing any more");
    }
  }

  Input& input_;
  ZeroedMemory catalog_{shm::catalog_size_bytes(kSlots)};
  ZeroedMemory book_memory_{book_size_bytes(kSlots)};
  Book book_ = Book::begin(book_memory_.bytes(), kSlots);
  ZeroedMemory nobody_{shm::ledger_size_bytes(kSlots)};
  std::map<std::uint64_t, SlotIndex> taken_;  // offset of an extent -> its tensor
  std::map<std::uint32_t, std::size_t> pools_;
  bool known_[std::size(kSegments)] = {};
  std::uint64_t last_offset_ = 0;
  Member members_[kClients];
  Registry registry_{shm::CatalogWriter(catalog_.bytes(), kSlots, 7, {}), book_, 0666,
                     [this](const Extent& extent) { given_back(extent); }, kPerUser};
  shm::CatalogReader reader_ = shm::CatalogReader::open(catalog_.bytes()).value();
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  World world(input);
  while (!input.empty()) {
    world.step();
    world.check();
  }
  world.end_all();
  return 0;
}
