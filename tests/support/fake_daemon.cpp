#include "fake_daemon.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "os/bell.hpp"
#include "os/futex.hpp"
#include "os/pages.hpp"
#include "os/socket.hpp"
#include "shm/live_header.hpp"
#include "shm/name_hash.hpp"

namespace tensord::test {
namespace {

namespace bip = boost::interprocess;
using namespace protocol;

constexpr std::uint64_t kSeed = 7;

std::span<std::byte> bytes_of_region(const bip::mapped_region& region) {
  return {static_cast<std::byte*>(region.get_address()), region.get_size()};
}

os::Memfd make(const char* label, std::size_t size_bytes) {
  os::Memfd memfd = os::Memfd::create(label, size_bytes);
  memfd.seal_size();
  return memfd;
}

std::string make_directory() {
  std::string pattern = std::filesystem::temp_directory_path() / "tensord-fake-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  return pattern;
}

template <class T>
T with_header(const RequestHeader& request) {
  T reply{};
  reply.header = {request.type, request.id, Errc::kOk, 0};
  return reply;
}

}  // namespace

FakeDaemon::FakeDaemon()
    : directory_(make_directory()),
      catalog_memfd_(make("fake-catalog", shm::catalog_size_bytes(kSlots))),
      ledger_memfd_(make("fake-ledger", shm::ledger_size_bytes(kSlots))),
      segment_memfd_(make("fake-segment", kSegmentBytes)),
      segment_read_only_(segment_memfd_.open_read_only()),
      catalog_read_only_(catalog_memfd_.open_read_only()),
      bell_(os::make_bell()),
      catalog_region_(catalog_memfd_, bip::read_write),
      ledger_region_(ledger_memfd_, bip::read_write),
      segment_region_(segment_memfd_, bip::read_write),
      writer_(bytes_of_region(catalog_region_), kSlots, kSeed, {}),
      listener_(os::listen_seqpacket(directory_ + "/socket")) {
  answer = [this](std::span<const std::byte> request) { return honest(request); };
  welcome = [](Reply reply) { return reply; };
  segment_fds = {segment_read_only_.get(), segment_memfd_.fd()};
  shm::format_ledger(ledger(), kSlots, 1);
  show(kPublished, "x", kOffset, kElements);
}

FakeDaemon::~FakeDaemon() {
  leave();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void FakeDaemon::leave() {
  leaving_ = true;
  if (thread_.joinable()) thread_.join();
}

std::span<std::byte> FakeDaemon::catalog() { return bytes_of_region(catalog_region_); }
std::span<std::byte> FakeDaemon::ledger() { return bytes_of_region(ledger_region_); }
std::span<std::byte> FakeDaemon::segment() { return bytes_of_region(segment_region_); }

void FakeDaemon::show(std::uint32_t index, const std::string& name, std::uint64_t offset,
                      std::int64_t elements, Kind kind) {
  shm::Slot& slot = writer_.slot(index);
  shm::SlotTail& tail = writer_.tail(index);
  slot.segment = kSegment;
  slot.offset = offset;
  slot.size_bytes = static_cast<std::uint64_t>(elements) * sizeof(float);
  slot.live_header_offset = kind == Kind::kLive ? offset - shm::kLivePrefixBytes : 0;
  slot.dtype = kFloat32;
  slot.ndim = 1;
  slot.kind = static_cast<std::uint8_t>(kind);
  tail.layout.shape[0] = elements;
  tail.layout.strides[0] = 1;
  shm::set_name(slot, tail, name);
  slot.store_word(shm::SlotWord::of(1, shm::SlotState::kPublished));
  writer_.index_insert(shm::name_hash(name, kSeed), index);
}

Store FakeDaemon::connect() {
  leave();
  leaving_ = false;
  answered_ = 0;
  shm::RingMemory& ring = shm::ring_of(ledger(), kSlots);
  std::memset(static_cast<void*>(&ring), 0, sizeof ring);
  thread_ = std::thread([this] { serve(); });
  return Store::connect({directory_ + "/socket", /*start=*/false});
}

void FakeDaemon::serve() {
  os::UniqueFd peer;
  while (!peer && !leaving_) {
    pollfd ready{listener_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 10) > 0) peer.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  shm::RingMemory& ring = shm::ring_of(ledger(), kSlots);
  ring.watched.store(1);  // odd: it looks
  ring.daemon_cpu.store(shm::kMovingCpu);
  while (!leaving_) {
    if (!serve_socket(peer.get()) || !serve_ring(peer.get())) return;
    std::this_thread::yield();
  }
}

// False: it is time to hang up.
bool FakeDaemon::serve_socket(int socket) {
  std::array<std::byte, kMaxMessageBytes> buffer;
  const os::Received received = os::receive_message(socket, buffer, 0, /*block=*/false);
  if (received.would_block) return true;
  if (received.size_bytes < sizeof(RequestHeader)) return false;
  const auto request = std::span<const std::byte>(buffer).first(received.size_bytes);
  RequestHeader header;
  std::memcpy(&header, request.data(), sizeof header);
  if (header.type == MessageType::kNudge) return true;
  Reply reply;
  if (header.type == MessageType::kHello) {
    auto hello = with_header<HelloReply>(header);
    hello.layout_version = shm::kLayoutVersion;
    hello.slot_count = kSlots;
    reply = welcome(reply_of(hello, {catalog_read_only_.get(), ledger_memfd_.fd(), bell_.get()}));
  } else {
    const auto grant = as_message<Grant>(request);
    // What comes behind Hello is answered as by a store that has no segment yet, or lies begin too early.
    const bool is_ahead = grant && grant->header.type == Grant::kType && grant->segment == 0;
    reply = is_ahead && !lies_ahead ? refuse(header) : answer(request);
  }
  return !reply.bytes.empty() && os::send_message(socket, reply.bytes, reply.fds);
}

bool FakeDaemon::serve_ring(int) {
  shm::RingMemory& ring = shm::ring_of(ledger(), kSlots);
  if (ring.posted.load() == answered_) return true;
  shm::RingEntry& entry = ring.entries[answered_ % shm::kRingEntries];
  if (entry.request_bytes < sizeof(RequestHeader) || entry.request_bytes > shm::kRingRequestBytes)
    return false;
  const Reply reply = answer({entry.request, entry.request_bytes});
  if (reply.bytes.empty()) return false;
  entry.reply_bytes = static_cast<std::uint32_t>(reply.bytes.size());
  std::memcpy(entry.reply, reply.bytes.data(), std::min(reply.bytes.size(), shm::kRingReplyBytes));
  ring.answered.store(++answered_);
  ring.sleeping.store(0);
  os::futex_wake_all(&ring.sleeping);
  return true;
}

FakeDaemon::Reply FakeDaemon::refuse(const RequestHeader& header) {
  auto reply = with_header<ErrorReply>(header);
  reply.header.status = Errc::kNotFound;
  reply.text.assign("there is none");
  return reply_of(reply);
}

FakeDaemon::Reply FakeDaemon::honest(std::span<const std::byte> request) {
  RequestHeader header;
  std::memcpy(&header, request.data(), sizeof header);
  if (const auto find = as_message<Find>(request); find && header.type == Find::kType) {
    for (std::uint32_t index = 0; index < kSlots; ++index) {
      const shm::Slot& slot = writer_.slot(index);
      if (slot.load_word().state() != shm::SlotState::kPublished ||
          !shm::has_name(slot, writer_.tail(index), find->name.view())) {
        continue;
      }
      auto reply = with_header<FindReply>(header);
      reply.slot = index;
      reply.segment = kSegment;
      reply.size_bytes = slot.size_bytes;
      reply.spec.dtype = kFloat32;
      reply.spec.ndim = 1;
      reply.spec.shape[0] = static_cast<std::int64_t>(slot.size_bytes / sizeof(float));
      reply.spec.strides[0] = 1;
      reply.kind = slot.kind;
      auto fds = segment_fds;
      if (find->access != Access::kWrite && fds.size() > 1) fds.resize(1);
      if (find->access == Access::kNone) fds.clear();
      return reply_of(reply, fds);
    }
    return refuse(header);
  }
  if (const auto create = as_message<Create>(request); create && header.type == Create::kType) {
    auto reply = with_header<CreateReply>(header);
    reply.draft.slot = kBuilding;
    reply.draft.word = shm::SlotWord::of(1, shm::SlotState::kBuilding).bits;
    reply.draft.segment = kSegment;
    reply.draft.offset = 2 * kOffset + create->room_offset_bytes;
    reply.draft.size_bytes = extent_bytes(create->spec).value();
    show(kBuilding, std::string(create->name.view()), reply.draft.offset, 1,
         static_cast<Kind>(create->kind & 1));
    slot(kBuilding).size_bytes = reply.draft.size_bytes;
    slot(kBuilding).dtype = create->spec.dtype;
    slot(kBuilding).ndim = static_cast<std::uint8_t>(create->spec.ndim);
    std::copy_n(create->spec.shape, kMaxDims, tail(kBuilding).layout.shape);
    std::copy_n(create->spec.strides, kMaxDims, tail(kBuilding).layout.strides);
    return reply_of(reply);
  }
  if (const auto grant = as_message<Grant>(request); grant && header.type == Grant::kType) {
    auto reply = with_header<GrantReply>(header);
    reply.segment = grant->segment == 0 ? kSegment : grant->segment;
    reply.size_bytes = kSegmentBytes;
    auto fds = segment_fds;
    if (grant->access != Access::kWrite && fds.size() > 1) fds.resize(1);
    return reply_of(reply, fds);
  }
  if (const auto list = as_message<List>(request); list && header.type == List::kType) {
    auto reply = with_header<ListReply>(header);
    if (list->after.size != 0) return reply_of(reply);
    reply.count = 1;
    reply.names = {1, 'x'};
    return reply_of(reply);
  }
  switch (header.type) {
    case MessageType::kPublish: return reply_of(with_header<PublishReply>(header));
    case MessageType::kPublishMany: return reply_of(with_header<PublishManyReply>(header));
    case MessageType::kDelete: return reply_of(with_header<DeleteReply>(header));
    case MessageType::kStats: return reply_of(with_header<StatsReply>(header));
    case MessageType::kAskAbout: return reply_of(with_header<AskAboutReply>(header));
    default: return reply_of(with_header<AbortReply>(header));
  }
}

}  // namespace tensord::test
