// Putting several tensors together.
//
// All are created in a row of requests, filled, and published in another row, so that what costs time is the
// copying. Small ones are filled while the daemon makes the next. Tensors that share memory take a second row
// for their Creates: who joins a room names a tensor that is in it already.
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <tensord/layout.hpp>
#include <tensord/store.hpp>

#include "client/connection.hpp"
#include "client/copy.hpp"
#include "client/copy_array.hpp"
#include "client/overlap.hpp"
#include "client/store_state.hpp"
#include "os/crash_point.hpp"
#include "protocol/tensor_spec.hpp"
#include "result.hpp"

namespace tensord {
namespace {

using client::Connection;
using protocol::quoted;

// Elements that were aligned stay so: a room begins as far before its first array as that is from such a
// boundary. It is the largest itemsize.
constexpr std::uintptr_t kRoomAlignment = 16;

// Up to this size a tensor is filled as soon as it is there, while the daemon makes the next ones. Larger
// ones come afterwards, for until then the other threads' requests wait.
constexpr std::size_t kFillAtOnceBytes = 64 * 1024;

// Memory that several items have in common, and its place in the store.
struct SharedRoom {
  client::CommonMemory memory;
  std::uintptr_t start = 0;  // of the room, as an address of the caller's memory
};

class Batch {
 public:
  Batch(std::shared_ptr<Connection> connection, std::span<const PutItem> items, const PutOptions& options)
      : connection_(std::move(connection)),
        items_(items),
        options_(options),
        drafts_(items.size()),
        filled_(items.size()) {
    std::unordered_set<std::string_view> names;
    for (const PutItem& item : items) {
      value_or_throw(protocol::check_name(item.name));
      if (!names.insert(item.name).second) {
        throw InvalidArgumentError("two items of put_many are named " + quoted(item.name) +
                                   ": give each a name of its own");
      }
    }
    wanted_.reserve(items.size());
    for (const PutItem& item : items) {
      wanted_.push_back({.name = item.name, .spec = value_or_throw(protocol::make_packed_spec(item.array))});
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { connection_->abort_many(created_); }

  void share_what_overlaps() {
    std::vector<Array> arrays;
    for (const PutItem& item : items_) arrays.push_back(item.array);
    for (client::CommonMemory& memory : client::find_common_memory(arrays)) {
      const auto begin = reinterpret_cast<std::uintptr_t>(memory.begin);
      const std::uintptr_t start = begin / kRoomAlignment * kRoomAlignment;
      for (const std::size_t i : memory.arrays) {
        wanted_[i].spec = spec_as_it_lies(items_[i]);
        filled_[i] = true;  // with its room
        wanted_[i].room_offset_bytes = reinterpret_cast<std::uintptr_t>(items_[i].array.data) - start;
      }
      wanted_[memory.arrays.front()].room_bytes = begin + memory.size_bytes - start;
      rooms_.push_back({std::move(memory), start});
    }
  }

  void create() {
    // Those with room of their own, and the first of each shared room.
    std::vector<std::size_t> first_row, second_row;
    std::vector<bool> joins(items_.size());
    for (const SharedRoom& room : rooms_) {
      for (std::size_t i = 1; i < room.memory.arrays.size(); ++i) joins[room.memory.arrays[i]] = true;
    }
    for (std::size_t i = 0; i < items_.size(); ++i) (joins[i] ? second_row : first_row).push_back(i);
    create_row(first_row);
    for (const SharedRoom& room : rooms_) {
      for (std::size_t i = 1; i < room.memory.arrays.size(); ++i) {
        wanted_[room.memory.arrays[i]].in_room_of = &drafts_[room.memory.arrays.front()];
      }
    }
    create_row(second_row);
  }

  // What was not filled while it was created.
  void fill() {
    for (const SharedRoom& room : rooms_) {
      const auto& memory = room.memory;
      std::byte* const start =
          drafts_[memory.arrays.front()].place.data - wanted_[memory.arrays.front()].room_offset_bytes;
      const std::size_t offset = reinterpret_cast<std::uintptr_t>(memory.begin) - room.start;
      client::copy_bytes({start + offset, drafts_[memory.arrays.front()].place.pages}, memory.begin,
                         memory.size_bytes);
      count_bytes_copied(memory.size_bytes);
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (!filled_[i]) fill(i, drafts_[i]);
    }
  }

  std::vector<View> publish() {
    std::vector<View> views = Connection::publish_many(connection_, drafts_);
    created_.clear();
    return views;
  }

 private:
  static protocol::TensorSpec spec_as_it_lies(const PutItem& item) {
    const Array& array = item.array;
    if (array.strides.empty()) return value_or_throw(protocol::make_packed_spec(array));
    Result<protocol::TensorSpec> spec = protocol::make_strided_spec(array.dtype, array.shape, array.strides);
    if (!spec) {
      throw InvalidArgumentError("the array for " + quoted(item.name) +
                                 " overlaps with another one, and cannot share its memory in the store: " +
                                 spec.failure().text + "; put it by itself, or with Overlap::kSeparate");
    }
    return std::move(spec.value());
  }

  void create_row(const std::vector<std::size_t>& row) {
    std::vector<Connection::Wanted> wanted;
    wanted.reserve(row.size());
    for (const std::size_t i : row) wanted.push_back(wanted_[i]);
    created_.reserve(items_.size());
    const std::vector<Connection::Draft> drafts =
        connection_->create_many(wanted, options_, [&](std::size_t i, const Connection::Draft& draft) {
          if (!filled_[row[i]] && draft.size_bytes <= kFillAtOnceBytes) fill(row[i], draft);
        });
    for (std::size_t i = 0; i < row.size(); ++i) drafts_[row[i]] = drafts[i];
    created_.insert(created_.end(), drafts.begin(), drafts.end());
  }

  void fill(std::size_t i, const Connection::Draft& draft) {
    const protocol::TensorSpec& spec = wanted_[i].spec;
    os::crash_point("batch.filling");
    client::copy_array(draft.place, {spec.strides, spec.ndim}, items_[i].array);
    count_bytes_copied(draft.size_bytes);  // packed: without gaps
    filled_[i] = true;
  }

  void count_bytes_copied(std::size_t bytes) const {
    connection_->counters().bytes_copied_in.fetch_add(bytes, std::memory_order_relaxed);
  }

  const std::shared_ptr<Connection> connection_;
  const std::span<const PutItem> items_;
  const PutOptions options_;
  std::vector<Connection::Wanted> wanted_;  // by item
  std::vector<Connection::Draft> drafts_;   // by item
  std::vector<Connection::Draft> created_;  // to be dropped unless they are published
  std::vector<bool> filled_;                // by item; those of a shared room count as filled
  std::vector<SharedRoom> rooms_;
};

}  // namespace

std::vector<View> Store::put_many(std::span<const PutItem> items, const PutOptions& options,
                                  Overlap overlap) const {
  Batch batch(state_->connection(), items, options);
  if (overlap == Overlap::kKeep) batch.share_what_overlaps();
  batch.create();
  batch.fill();
  return batch.publish();
}

}  // namespace tensord
