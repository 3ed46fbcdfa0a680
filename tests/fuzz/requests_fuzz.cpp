// The daemon's whole road of requests, in process: real Sessions on real sockets and rings, whose clients
// send what the input says: messages of every type, mended or broken, whole or cut; by socket, by ring, or
// both at once; coming and going; with garbage in their ledgers. And clients of other users, who ask the
// Dispatcher directly.
//
// After every few steps the figures must add up, and the catalog must show what they count. In the end, after
// all have left, every byte must be back.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include <boost/asio.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dispatcher.hpp"
#include "hello.hpp"
#include "input.hpp"
#include "os/memfd.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"
#include "rings.hpp"
#include "service.hpp"
#include "session.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"
#include "shm/name_hash.hpp"

using namespace tensord;
using namespace tensord::daemon;
using namespace tensord::protocol;
using fuzz::Input;
using fuzz::require;
namespace asio = boost::asio;
namespace bip = boost::interprocess;

namespace {

constexpr std::size_t kPeers = 4;
constexpr std::size_t kSteps = 300;  // of one input, at most

Options options() {
  Options options;
  options.max_bytes = 4 << 20;
  options.keep_warm_bytes = 1 << 20;
  options.max_tensors = 48;
  options.max_connections = kPeers + 2;
  options.namespace_mode = 0640;
  options.huge_pages = HugePages::kNever;
  return options;
}

// ---- messages -------------------------------------------------------------------------------------------

using Bytes = std::vector<std::byte>;

std::string take_name(Input& input) {
  static const std::string names[] = {
      "a", "b", "ns/a", "ns/b", "other/x", std::string(70, 'n'), std::string(255, 'm')};
  const std::size_t which = input.below(10);
  if (which < std::size(names)) return names[which];
  const auto bytes = input.piece(input.below(20));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Draft take_draft(Input& input, const std::vector<Draft>& drafts) {
  if (drafts.empty() || input.below(8) == 0) return {static_cast<SlotIndex>(input.number()), input.number()};
  return drafts[input.below(std::min<std::size_t>(drafts.size(), 256))];
}

Create take_create(Input& input, const std::vector<Draft>& drafts) {
  Create create;
  create.name.assign(take_name(input));
  const std::uint8_t flags = input.byte();
  create.kind = flags & 1;
  create.lifetime = flags >> 1 & 1;
  create.replace = flags >> 2 & 1;
  std::int64_t shape[3] = {};
  const std::size_t ndim = input.below(4);
  for (std::size_t i = 0; i < ndim; ++i) shape[i] = static_cast<std::int64_t>(input.number());
  if (const auto spec = make_contiguous_spec(kFloat32, std::span(shape).first(ndim)))
    create.spec = spec.value();
  if ((flags & 0x38) == 0) {  // in a room
    create.room_bytes = input.number();
    create.room_offset_bytes = input.number();
    if (input.flip()) {
      const Draft other = take_draft(input, drafts);
      create.in_room_of_slot = other.slot;
      create.in_room_of_word = other.word;
    }
  }
  return create;
}

// Mostly of a spare, or of what was one.
PublishSpare take_publish_spare(Input& input, const std::vector<Draft>& drafts) {
  const Create create = take_create(input, drafts);
  const Draft draft = take_draft(input, drafts);
  PublishSpare publish;
  publish.name = create.name;
  publish.spec = create.spec;
  publish.lifetime = create.lifetime;
  publish.replace = create.replace;
  publish.wants_spare = input.flip() ? 1 : 0;
  publish.slot = draft.slot;
  publish.word = draft.word;
  return publish;
}

Publish take_publish(Input& input, const std::vector<Draft>& drafts) {
  const Draft draft = take_draft(input, drafts);
  Publish publish;
  publish.slot = draft.slot;
  publish.wants_spare = input.flip() ? 1 : 0;
  publish.word = draft.word;
  return publish;
}

PublishMany take_publish_many(Input& input, const std::vector<Draft>& drafts) {
  PublishMany publish;
  publish.total = static_cast<std::uint32_t>(input.number());
  publish.first = static_cast<std::uint32_t>(input.flip() ? 0 : input.number());
  publish.count = static_cast<std::uint32_t>(input.number());
  for (std::size_t i = 0; i < std::min<std::size_t>(publish.count, 8); ++i) {
    const Draft draft = i < drafts.size() && input.flip() ? drafts[i] : take_draft(input, drafts);
    publish.entries[i] = {draft.slot, 0, draft.word};
  }
  return publish;
}

template <class T>
Bytes as_bytes(T message, std::uint32_t id) {
  message.header = {T::kType, id};
  const auto bytes = bytes_of(message);
  return {bytes.begin(), bytes.end()};
}

template <class T>
Bytes of_draft(Input& input, const std::vector<Draft>& drafts, std::uint32_t id) {
  T message;
  const Draft draft = take_draft(input, drafts);
  message.slot = draft.slot;
  message.word = draft.word;
  return as_bytes(message, id);
}

// A message as a client of ours would send it; then perhaps with some bytes changed, cut, or with a tail.
Bytes take_message(Input& input, const std::vector<Draft>& drafts) {
  const std::uint32_t id = input.byte();
  Bytes message;
  switch (input.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3: message = as_bytes(take_create(input, drafts), id); break;
    case 4: message = as_bytes(take_publish(input, drafts), id); break;
    case 5: message = as_bytes(take_publish_spare(input, drafts), id); break;
    case 6: message = of_draft<Abort>(input, drafts, id); break;
    case 7: message = as_bytes(take_publish_many(input, drafts), id); break;
    case 8: {
      Delete remove;
      remove.name.assign(take_name(input));
      message = as_bytes(remove, id);
      break;
    }
    case 9:
    case 10: {
      Find find;
      find.name.assign(take_name(input));
      find.access = static_cast<Access>(input.below(4));
      find.if_none = static_cast<IfNone>(input.below(5));
      message = as_bytes(find, id);
      break;
    }
    case 11: {
      Grant grant;
      grant.segment = std::uint64_t{1 + input.below(8)} << kSegmentIndexBits | input.below(4);
      grant.access = static_cast<Access>(input.below(4));
      message = as_bytes(grant, id);
      break;
    }
    case 12: {
      List list;
      list.prefix.assign(take_name(input));
      list.after.assign(take_name(input));
      message = as_bytes(list, id);
      break;
    }
    case 13: {
      Nudge nudge;
      nudge.slot = static_cast<std::uint32_t>(input.number());
      message = as_bytes(nudge, id);
      break;
    }
    case 14: {
      const std::size_t which = input.below(6);
      if (which == 4) {
        Users users;
        users.from_uid = static_cast<std::uint32_t>(input.number());
        message = as_bytes(users, id);
        break;
      }
      if (which == 5) {
        Waiters waiters;
        waiters.from_connection = static_cast<std::uint32_t>(input.number());
        message = as_bytes(waiters, id);
        break;
      }
      if (which == 0) message = as_bytes(AskAbout{}, id);
      if (which == 1) message = as_bytes(Stats{}, id);
      if (which < 2) break;
      Holders holders;
      if (which == 2) holders.name.assign(take_name(input));
      holders.of = static_cast<Holders::Of>(input.below(4));
      holders.from_slot = static_cast<std::uint32_t>(input.number());
      message = as_bytes(holders, id);
      break;
    }
    default: {
      message.resize(1 + input.take<std::uint16_t>() % (kMaxMessageBytes + 8));
      input.copy_to(message);
    }
  }
  const std::uint8_t how = input.byte();
  if (how >= 240) input.scribble(message);
  if (how >= 252) message.resize(input.take<std::uint16_t>() % (message.size() + 9));
  return message;
}

// ---- clients --------------------------------------------------------------------------------------------

// A client by hand: one end of a socket, whose other end is a Session's.
struct Peer {
  os::UniqueFd socket, bell;
  bip::mapped_region ledger;
  shm::RingMemory* ring = nullptr;
  std::uint32_t posted = 0;
  std::uint32_t taken = 0;
  std::vector<Draft> drafts;

  [[nodiscard]] std::span<std::byte> ledger_bytes() const {
    return {static_cast<std::byte*>(ledger.get_address()), ledger.get_size()};
  }
  void send(std::span<const std::byte> message) const {
    if (::send(socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  }
  void look_at(std::span<const std::byte> reply) {
    // Both replies have the same fields: what was granted, now or ahead.
    static_assert(sizeof(CreateReply) == sizeof(PublishReply));
    CreateReply created;
    if (reply.size() != sizeof created) return;
    std::memcpy(&created, reply.data(), sizeof created);
    if (created.draft.word != 0) drafts.push_back({created.draft.slot, created.draft.word});
  }
};

class World {
 public:
  explicit World(Input& input) : input_(input) {
    for (Guest& guest : guests_) guest.id = welcome({guest.pid, guest.uid, guest.gid}).client;
  }

  void step() {
    Peer& peer = peers_[input_.below(kPeers)];
    switch (input_.below(16)) {
      case 0: return connect(peer);
      case 1: return greet(peer);
      case 2:
      case 3:
      case 4: return peer.send(take_message(input_, peer.drafts));
      case 5:
      case 6:
      case 7: return post(peer);
      case 8: return scribble(peer);
      case 9: return ring_bell(peer);
      case 10: return send_descriptors(peer);
      case 11: return ask_as_guest(guests_[input_.below(std::size(guests_))]);
      case 12: return pin(peer);
      case 13:
        if (input_.below(4) == 0) peer = Peer();
        return;
      default: run();
    }
  }

  void run() {
    loop_.restart();
    loop_.poll();
    for (Peer& peer : peers_) take_replies(peer);
    check();
  }

  void end() {
    for (Peer& peer : peers_) peer = Peer();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (service_.stats().connections > std::size(guests_)) {
      loop_.restart();
      loop_.run_one_for(std::chrono::milliseconds(1));
      require(std::chrono::steady_clock::now() < deadline, "who hangs up is gone soon");
    }
    for (Guest& guest : guests_) service_.farewell(guest.id);
    check();
    const StoreStats left = stats();
    require(left.building_tensors == 0 && left.dying_tensors == 0 && left.connections == 0,
            "who leaves takes along what he builds and pins");
    delete_everything();
    const StoreStats empty = stats();
    require(empty.tensors == 0 && empty.used_bytes == 0 && empty.dying_bytes == 0, "every byte is back");
    require(empty.reserved_bytes <= options().keep_warm_bytes, "and no more is kept than is to be kept warm");
    // Sessions that never said hello.
    loop_.restart();
    loop_.poll();
  }

 private:
  struct Guest {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    ClientId id = 0;
    std::vector<Draft> drafts{};
  };
  using StoreStats = StatsReply;

  Service::Welcome welcome(const Credentials& who) {
    auto welcomed = service_.welcome(who, test::make_hello(), /*socket=*/-1);
    require(bool(welcomed), "there is room for a guest");
    return std::move(*welcomed);
  }
  [[nodiscard]] StoreStats stats() const { return service_.stats(); }

  void connect(Peer& peer) {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
            "a pair of sockets");
    peer = Peer();
    peer.socket.reset(ends[0]);
    const auto session = std::make_shared<Session>(loop_, os::UniqueFd(ends[1]), service_, rings_);
    asio::co_spawn(
        loop_, [session] { return session->run(); }, asio::detached);
  }

  void greet(Peer& peer) {
    if (!peer.socket) connect(peer);
    Hello hello = test::make_hello();
    if (input_.below(8) == 0) input_.scribble(std::as_writable_bytes(std::span(&hello, 1)));
    peer.send(bytes_of(hello));
  }

  void post(Peer& peer) {
    if (peer.ring == nullptr) return;
    const Bytes message = take_message(input_, peer.drafts);
    shm::RingEntry& entry = peer.ring->entries[peer.posted % shm::kRingEntries];
    entry.request_bytes = static_cast<std::uint32_t>(message.size());
    std::memcpy(entry.request, message.data(), std::min(message.size(), sizeof entry.request));
    peer.ring->posted.store(++peer.posted);
    if (input_.flip()) ring_bell(peer);
  }

  void ring_bell(const Peer& peer) {
    if (!peer.bell) return;
    // Its flags and its count are the client's to change.
    if (input_.below(16) == 0) ::fcntl(peer.bell.get(), F_SETFL, input_.flip() ? O_NONBLOCK : 0);
    const std::uint64_t count = input_.below(16) == 0 ? 0xffff'ffff'ffff'ff00 : 1;
    // Whoever adds so much to a count that is high already would wait for the daemon, which is in this
    // thread.
    const int flags = ::fcntl(peer.bell.get(), F_GETFL);
    ::fcntl(peer.bell.get(), F_SETFL, O_NONBLOCK);
    static_cast<void>(::write(peer.bell.get(), &count, sizeof count));
    ::fcntl(peer.bell.get(), F_SETFL, flags);
  }

  void scribble(Peer& peer) {
    if (peer.ring == nullptr) return;
    const auto ring = std::as_writable_bytes(std::span(peer.ring, 1));
    switch (input_.below(4)) {
      case 0: return input_.scribble(peer.ledger_bytes());
      case 1: return input_.scribble(ring.first(128 + 16));  // the counts, and the first entry's sizes
      case 2: return input_.scribble(ring);
      default:
        std::ranges::fill(peer.ledger_bytes().first(ring.data() - peer.ledger_bytes().data()),
                          static_cast<std::byte>(input_.byte()));
    }
  }

  void pin(Peer& peer) {
    if (peer.ring == nullptr) return;
    auto ledger = shm::Ledger::open(peer.ledger_bytes(), options().max_tensors);
    if (!ledger) return;
    const auto slot = static_cast<std::uint32_t>(input_.below(options().max_tensors));
    input_.flip() ? ledger->pin(slot) : ledger->unpin(slot);
  }

  void send_descriptors(Peer& peer) {
    if (!peer.socket || input_.below(4) != 0) return;
    const int fds[] = {peer.socket.get(), 2};
    const Bytes message = take_message(input_, peer.drafts);
    if (message.empty()) return;
    os::send_message(peer.socket.get(), message, std::span(fds).first(1 + input_.below(2)), /*block=*/false);
  }

  void ask_as_guest(Guest& guest) {
    const Bytes message = take_message(input_, guest.drafts);
    Dispatcher dispatcher(service_);
    Answer answer;
    const auto outcome = dispatcher.handle_now(guest.id, message, answer);
    // Whoever must wait for memory waits in a Session; nothing has changed, and nothing is owed.
    if (!outcome || outcome->kind != Dispatcher::Outcome::kAnswered) return;
    require(answer.bytes().size() >= sizeof(ReplyHeader) && answer.bytes().size() <= kMaxMessageBytes,
            "an answer has the form of one");
    Peer looks;
    looks.look_at(answer.bytes());
    guest.drafts.insert(guest.drafts.end(), looks.drafts.begin(), looks.drafts.end());
    check_rights(answer);
  }

  // The namespaces are 0640: who is neither the owner nor of his group gets no descriptor, and only the owner
  // gets one to write.
  void check_rights(const Answer& answer) {
    for (const os::UniqueFd& fd : answer.fds) {
      const int seals = ::fcntl(fd.get(), F_GET_SEALS);
      require((seals & F_SEAL_SHRINK) != 0 && (seals & F_SEAL_SEAL) != 0, "what is handed out is sealed");
    }
    if (answer.fds.empty()) return;
    require((::fcntl(answer.fds[0].get(), F_GETFL) & O_ACCMODE) == O_RDONLY,
            "the first descriptor only reads");
    require(answer.fds.size() <= 2, "there are two at most");
  }

  void take_replies(Peer& peer) {
    if (!peer.socket) return;
    std::array<std::byte, kMaxMessageBytes> buffer;
    for (;;) {
      os::Received received;
      try {
        received = os::receive_message(peer.socket.get(), buffer, 3, /*block=*/false);
      } catch (const std::system_error&) {
        break;
      }
      if (received.would_block || received.size_bytes == 0) break;
      require(!received.truncated, "no reply is larger than a message may be");
      const auto reply = std::span<const std::byte>(buffer).first(received.size_bytes);
      if (peer.ring == nullptr && received.size_bytes == sizeof(HelloReply) && received.fds.size() == 3) {
        const os::Memfd ledger = os::Memfd::adopt_sealed(std::move(received.fds[1]));
        peer.ledger = bip::mapped_region(ledger, bip::read_write);
        peer.bell = std::move(received.fds[2]);
        peer.ring = &shm::ring_of(peer.ledger_bytes(), options().max_tensors);
      }
      peer.look_at(reply);
    }
    if (peer.ring == nullptr) return;
    for (int i = 0; i < 64 && peer.taken != peer.ring->answered.load(); ++i, ++peer.taken) {
      const shm::RingEntry& entry = peer.ring->entries[peer.taken % shm::kRingEntries];
      if (entry.reply_bytes <= sizeof entry.reply) peer.look_at({entry.reply, entry.reply_bytes});
    }
  }

  // ---- what must be true -----------------------------------------------------------------------------

  void check() {
    const StoreStats figures = stats();
    require(figures.used_bytes <= figures.reserved_bytes && figures.reserved_bytes <= figures.limit_bytes,
            "no more is used than reserved, nor reserved than allowed");
    require(figures.dying_bytes <= figures.used_bytes, "what is dying is still used");
    require(figures.connections <= options().max_connections, "the limit of connections holds");
    std::size_t count[4] = {};
    std::size_t indexed = 0;
    std::size_t spares = 0;
    for (SlotIndex index = 0; index < options().max_tensors; ++index) {
      const shm::Slot& slot = catalog_.slot(index);
      const auto state = slot.load_word().state();
      ++count[static_cast<std::size_t>(state)];
      if (state == shm::SlotState::kPublished) indexed += is_found(index) ? 1 : 0;
      if (state == shm::SlotState::kFree) continue;
      // A spare gets its name and its type when it is published; one that was taken back never had any.
      const bool is_spare = slot.name_size == 0 && state != shm::SlotState::kPublished;
      if (is_spare && state == shm::SlotState::kBuilding) ++spares;
      require(slot.ndim <= kMaxDims && (is_spare || is_supported(slot.dtype)),
              "the catalog shows tensors as they may be");
      require(slot.offset + slot.size_bytes <= figures.limit_bytes, "and where they can be");
    }
    require(count[1] - spares == figures.building_tensors && count[2] == figures.tensors &&
                count[3] == figures.dying_tensors,
            "the catalog shows as many tensors as the figures count");
    require(indexed == count[2], "the index knows every published tensor");
  }

  [[nodiscard]] bool is_found(SlotIndex index) const {
    const std::string_view name = shm::name_of(catalog_.slot(index), catalog_.tail(index));
    return catalog_.find(shm::name_hash(name, catalog_.hash_seed()),
                         [&](std::uint32_t candidate) { return candidate == index; });
  }

  void delete_everything() {
    const Service::Welcome root = welcome({1, 0, 0});
    List list;
    for (;;) {
      const ListReply page = service_.list(list);
      if (page.count == 0) break;
      Delete remove;
      remove.name.assign(
          {&page.names[1], static_cast<std::size_t>(static_cast<unsigned char>(page.names[0]))});
      require(bool(service_.remove(root.client, remove)), "root may delete whatever is listed");
    }
    service_.farewell(root.client);
  }

  static shm::CatalogReader open_catalog(const bip::mapped_region& region) {
    const auto reader =
        shm::CatalogReader::open({static_cast<const std::byte*>(region.get_address()), region.get_size()});
    require(reader.has_value(), "the daemon's catalog opens");
    return *reader;
  }
  // As everybody gets it: read-only.
  bip::mapped_region map_catalog() {
    Service::Welcome seen = welcome({1, 0, 0});
    const os::Memfd memfd = os::Memfd::adopt_sealed(std::move(seen.fds[0]));
    service_.farewell(seen.client);
    return bip::mapped_region(memfd, bip::read_only);
  }

  Input& input_;
  asio::io_context loop_{1};
  ServiceManager nobody_;
  Service service_{loop_, options(), nobody_, std::nullopt, [](Service::End) {}};
  Rings rings_{loop_};
  bip::mapped_region catalog_region_ = map_catalog();
  shm::CatalogReader catalog_ = open_catalog(catalog_region_);
  Peer peers_[kPeers];
  Guest guests_[2] = {{101, 1001, 100}, {102, 1002, 200}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  World world(input);
  for (std::size_t i = 0; i < kSteps && !input.empty(); ++i) world.step();
  world.run();
  world.end();
  return 0;
}
