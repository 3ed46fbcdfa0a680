// FakeDaemon: answers a real client as a tensord would, except where a test has it lie. It serves from a
// thread of the test's own process, so what it shows in shared memory can be changed at any moment.
//
//   FakeDaemon daemon;                            // honest so far: one tensor, "x", of 16 float32
//   daemon.slot().offset = 1 << 30;               // from here on a lie
//   CHECK_THROWS(daemon.connect().attach("x"));
//
// Threads  `answer` and `fds` are set before connect(); shared memory may be written at any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include <tensord/store.hpp>

#include "os/memfd.hpp"
#include "os/unique_fd.hpp"
#include "protocol/messages.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"

namespace tensord::test {

class FakeDaemon {
 public:
  static constexpr std::uint32_t kSlots = 16;
  static constexpr std::uint64_t kSegment = 1 << 14 | 3;  // the first serial number, some index
  static constexpr std::uint64_t kSegmentBytes = 1 << 16;
  static constexpr std::uint32_t kPublished = 5;  // the slot of "x"
  static constexpr std::uint32_t kBuilding = 6;   // the slot that every Create gets
  static constexpr std::uint64_t kOffset = 4096;  // of "x"
  static constexpr std::uint64_t kElements = 16;  // of "x", float32

  struct Reply {
    std::vector<std::byte> bytes;  // none: hang up
    std::vector<int> fds;
  };

  FakeDaemon();
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  // Connects a client, and serves it from here on; one at a time.
  [[nodiscard]] Store connect();

  // What it says to a request; honest() unless a test sets something else. By either road.
  std::function<Reply(std::span<const std::byte> request)> answer;
  // What it says to Hello, in the same way.
  std::function<Reply(Reply honest)> welcome;
  // The descriptors of its one segment: for reading, and for writing.
  std::vector<int> segment_fds;

  // Whether `answer` is also asked about the segment that a client wants along with its welcome.
  bool lies_ahead = false;

  [[nodiscard]] Reply honest(std::span<const std::byte> request);
  // Hangs up.
  void leave();

  // The shared memory, through mappings of its own.
  [[nodiscard]] std::span<std::byte> catalog();
  [[nodiscard]] std::span<std::byte> ledger();
  [[nodiscard]] std::span<std::byte> segment();
  [[nodiscard]] shm::Slot& slot(std::uint32_t index = kPublished) { return writer_.slot(index); }
  [[nodiscard]] shm::SlotTail& tail(std::uint32_t index = kPublished) { return writer_.tail(index); }
  [[nodiscard]] shm::CatalogWriter& writer() { return writer_; }
  // Enters a tensor of float32, C-contiguous, into a slot and the index.
  void show(std::uint32_t index, const std::string& name, std::uint64_t offset, std::int64_t elements,
            Kind kind = Kind::kSealed);

 private:
  [[nodiscard]] static Reply refuse(const protocol::RequestHeader& header);
  void serve();
  [[nodiscard]] bool serve_socket(int socket);
  [[nodiscard]] bool serve_ring(int socket);

  std::string directory_;
  os::Memfd catalog_memfd_;
  os::Memfd ledger_memfd_;
  os::Memfd segment_memfd_;
  os::UniqueFd segment_read_only_;
  os::UniqueFd catalog_read_only_;
  os::UniqueFd bell_;  // it looks all the time, and listens to none
  boost::interprocess::mapped_region catalog_region_;
  boost::interprocess::mapped_region ledger_region_;
  boost::interprocess::mapped_region segment_region_;
  shm::CatalogWriter writer_;
  os::UniqueFd listener_;
  std::atomic<bool> leaving_ = false;
  std::uint32_t answered_ = 0;
  std::thread thread_;
};

// The reply as bytes; and back, to be changed.
template <class T>
[[nodiscard]] FakeDaemon::Reply reply_of(const T& message, std::vector<int> fds = {}) {
  const auto bytes = protocol::bytes_of(message);
  return {{bytes.begin(), bytes.end()}, std::move(fds)};
}
template <class T>
[[nodiscard]] std::optional<T> as_message(std::span<const std::byte> bytes) {
  T message{};
  if (bytes.size() != sizeof message) return std::nullopt;
  std::memcpy(&message, bytes.data(), sizeof message);
  return message;
}

}  // namespace tensord::test
