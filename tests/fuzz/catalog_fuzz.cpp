// The client's readers over a catalog of garbage: what a broken or hostile daemon may have written. The
// memory is exactly as large as the catalog says, so that AddressSanitizer sees what lies outside of it.
#include <new>
#include <optional>
#include <string>

#include "input.hpp"
#include "shm/catalog.hpp"
#include "shm/name_hash.hpp"

using namespace tensord;
using fuzz::Input;
using fuzz::require;

namespace {

constexpr std::uint32_t kSlots = 16;
constexpr std::uint64_t kSeed = 7;

class Memory {
 public:
  explicit Memory(std::size_t size_bytes)
      : bytes_(static_cast<std::byte*>(::operator new(size_bytes, kAlignment)), size_bytes) {
    std::ranges::fill(bytes_, std::byte{});
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete(bytes_.data(), kAlignment); }

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  std::span<std::byte> bytes_;
};

std::string take_name(Input& input) {
  const auto bytes = input.piece(input.below(4) == 0 ? 1 + input.byte() : input.below(70));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What an honest daemon would have written, to begin with.
void fill(Input& input, const Memory& memory) {
  shm::CatalogWriter writer(memory.bytes(), kSlots, kSeed, {});
  for (std::size_t i = input.below(kSlots); i-- > 0;) {
    const auto index = static_cast<std::uint32_t>(i);
    const std::string name = take_name(input);
    shm::Slot& slot = writer.slot(index);
    shm::set_name(slot, writer.tail(index), name);
    slot.store_word(shm::SlotWord::of(input.byte(), static_cast<shm::SlotState>(input.below(4))));
    writer.index_insert(shm::name_hash(name, kSeed), index);
    if (input.below(4) == 0) writer.index_erase(shm::name_hash(take_name(input), kSeed), index);
  }
}

void scribble(Input& input, const Memory& memory) {
  const auto bytes = memory.bytes();
  // The header, the signals, the index, slots and tails; where a catalog of this size has them.
  static constexpr std::size_t kParts[] = {0, shm::kCatalogSignalsOffset, shm::kCatalogIndexOffset, 8192,
                                           12288};
  const std::size_t at = kParts[input.below(std::size(kParts))];
  if (at < bytes.size()) input.scribble(bytes.subspan(at, std::min<std::size_t>(bytes.size() - at, 2048)));
}

// Everything that a client asks of a catalog, with nothing but its own numbers to go by.
void read(Input& input, const shm::CatalogReader& reader, const Memory& memory) {
  const std::string name = take_name(input);
  const std::uint64_t hash = input.below(4) == 0 ? input.number() : shm::name_hash(name, reader.hash_seed());
  reader.prefetch(hash);
  static_cast<void>(reader.batch_sequence());
  static_cast<void>(reader.name_event(hash).load());
  static_cast<void>(reader.store_id()[15]);
  int tried = 0;
  reader.find(hash, [&](std::uint32_t index) {
    require(index < reader.slot_count(), "a slot that is found is a slot");
    require(++tried <= static_cast<int>(shm::kMaxProbe), "a search ends");
    const shm::Slot& slot = reader.slot(index);
    const shm::SlotTail& tail = reader.tail(index);
    static_cast<void>(slot.load_word());
    const std::string_view shown = shm::name_of(slot, tail);
    const bool named = shm::has_name(slot, tail, name);
    // Not the other way round: a name may differ where only one of the two looks.
    require(!named || shown == name, "who has the name is called by it");
    const std::uint64_t segment_bytes = shm::kLivePrefixBytes + input.number() % (1u << 20);
    if (shm::lies_inside(slot, segment_bytes)) {
      __extension__ using Wide = unsigned __int128;
      require(Wide{slot.offset} + slot.size_bytes <= segment_bytes, "what lies inside begins and ends there");
      require(Wide{slot.live_header_offset} + shm::kLivePrefixBytes <= segment_bytes, "its header, too");
      require(slot.ndim <= kMaxDims, "and it has a layout");
    }
    return input.below(8) == 0;
  });
  const auto inside = [&](const void* at, std::size_t size_bytes) {
    const auto* const byte = static_cast<const std::byte*>(at);
    return byte >= memory.bytes().data() &&
           byte + size_bytes <= memory.bytes().data() + memory.bytes().size();
  };
  const std::uint32_t last = reader.slot_count() - 1;
  require(inside(&reader.slot(last), sizeof(shm::Slot)) && inside(&reader.tail(last), sizeof(shm::SlotTail)),
          "the last slot and its tail lie in the catalog");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::size_t whole = shm::catalog_size_bytes(kSlots);
  // Mostly of the right size; what is not, is not a catalog.
  const bool cut = input.below(8) == 0;
  const Memory memory(cut ? 1 + input.take<std::uint32_t>() % (2 * whole) : whole);
  if (!cut) fill(input, memory);
  while (!input.empty()) {
    scribble(input, memory);
    const std::optional<shm::CatalogReader> reader = shm::CatalogReader::open(memory.bytes());
    require(!reader || memory.bytes().size() == shm::catalog_size_bytes(reader->slot_count()),
            "what opens has the size that its slots take");
    if (reader) read(input, *reader, memory);
  }
  return 0;
}
