// The messages between a client and the daemon: one trivially copyable struct each, one datagram
// each, over a SOCK_SEQPACKET Unix socket.
//
//   client                         daemon
//     Hello                    ->
//                              <-  HelloReply + [catalog (read-only), ledger, bell of the ring]
//     any request            ->
//                              <-  its reply, or an ErrorReply, with the same id
//     Nudge                    ->  (no reply)
//
// A client may send some requests more before it takes the reply to the first, Hello included, at most
// kMaxRequestsUnderWay; they are answered in the order they came.
//
// A request is the struct alone; whoever receives it checks the size against the type, copies it
// out, and only then looks at the fields. Whatever is wrong in form (unknown type, wrong size, a
// request before Hello, descriptors) ends the connection; whatever is wrong in content gets an
// ErrorReply and changes nothing.
//
// Versions  Hello, HelloReply and ErrorReply keep their layout for ever, so that two versions can
//           tell each other that they do not fit.
// Padding   there is none (asserted), so no byte of a sender's memory leaks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include <tensord/error.hpp>
#include <tensord/view.hpp>

#include "protocol/tensor_spec.hpp"

namespace tensord::protocol {

inline constexpr std::uint32_t kProtocolVersion = 9;
inline constexpr std::size_t kMaxMessageBytes = 4096;
// Requests whose replies a client has not taken yet. The daemon waits for nobody: it hangs up when a reply
// does not fit into the client's socket. So many ErrorReplies always fit, with the kernel's overhead of
// 2.3 KiB each, into a third of the room that Linux gives a socket unless told otherwise (208 KiB).
inline constexpr std::size_t kMaxRequestsUnderWay = 32;
inline constexpr std::uint64_t kHelloMagic = 0x0044'524f'534e'4554;  // "TENSORD\0" read as bytes

enum class MessageType : std::uint32_t {
  kHello = 1,
  kCreate = 2,   // a slot and space for a tensor that nobody sees yet
  kPublish = 3,  // make it visible under its name
  kAbort = 4,    // drop it instead
  kDelete = 5,   // take a name away
  kFind = 6,     // which slot has this name, and what is in it; on request with its segment
  kGrant = 7,    // a descriptor of a segment
  kList = 8,     // names, a page at a time
  kStats = 9,
  kShutdown = 10,
  kNudge = 11,         // "slot s is dying and I have just let go of it"; a hint, no reply
  kAskAbout = 12,      // whether a connection still exists, and whose it is
  kPublishMany = 13,   // make several visible, together
  kAwait = 14,         // "I am about to sleep until this live tensor changes"; a hint, no reply
  kPublishSpare = 15,  // name a spare, and make it visible
  kHolders = 16,       // who holds the memory of a tensor, a page at a time
  kUsers = 17,         // what each user has, a page at a time
  kWaiters = 18,       // who sleeps until a name is published or a live tensor changes, a page at a time
};

struct RequestHeader {
  MessageType type{};
  std::uint32_t id = 0;  // chosen by the client, ascending; repeated in the reply
};

struct ReplyHeader {
  MessageType type{};  // of the request
  std::uint32_t id = 0;
  Errc status = Errc::kOk;  // anything else: the message is an ErrorReply
  std::uint32_t reserved = 0;
};

// A short text within a message.
template <std::size_t kCapacity>
struct Text {
  std::uint32_t size = 0;
  std::array<char, kCapacity> bytes{};

  void assign(std::string_view text) {
    size = static_cast<std::uint32_t>(text.size() < kCapacity ? text.size() : kCapacity);
    text.copy(bytes.data(), size);
  }
  // Never past the end, whatever a peer wrote into `size`.
  [[nodiscard]] std::string_view view() const { return {bytes.data(), size < kCapacity ? size : kCapacity}; }
};
using NameText = Text<kMaxNameSize + 1>;

struct ErrorReply {
  ReplyHeader header;
  Text<1004> text;
};

struct Hello {
  static constexpr auto kType = MessageType::kHello;
  RequestHeader header;
  std::uint64_t magic = kHelloMagic;
  std::uint32_t protocol_version = kProtocolVersion;
  std::uint32_t layout_version = 0;
};
struct HelloReply {
  ReplyHeader header;
  std::uint64_t magic = kHelloMagic;
  std::uint32_t protocol_version = kProtocolVersion;
  std::uint32_t layout_version = 0;
  std::uint32_t slot_count = 0;
  std::uint32_t daemon_pid = 0;
};

struct Create {
  static constexpr auto kType = MessageType::kCreate;
  RequestHeader header;
  NameText name;
  std::uint8_t kind = 0;      // Kind
  std::uint8_t lifetime = 0;  // Lifetime
  std::uint8_t replace = 0;   // 0 or 1
  std::uint8_t reserved = 0;
  TensorSpec spec;

  // Tensors that share memory lie in one room, which is given back with the last of them. A room is made
  // with its first tensor, and large enough for those to come; they name any tensor of it, by slot and
  // word, that this client is still building.
  std::uint64_t room_bytes = 0;         // of a new room; 0: what the tensor takes
  std::uint64_t room_offset_bytes = 0;  // from the start of the room to the tensor's first element
  std::uint64_t in_room_of_word = 0;    // 0: a new room
  std::uint32_t in_room_of_slot = 0;
  std::uint32_t reserved_too = 0;
};
// A tensor in the making, and the memory that it is to be built in.
struct Granted {
  std::uint32_t slot = 0;
  std::uint32_t reserved = 0;
  std::uint64_t word = 0;  // the slot's word while Building: names this tensor, not just the slot; 0: nothing
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;  // bytes, of the first element
  std::uint64_t size_bytes = 0;
};
struct CreateReply {
  ReplyHeader header;
  Granted draft;
};

// Publish, PublishMany and Abort name a tensor by the slot and word that CreateReply gave.
struct Publish {
  static constexpr auto kType = MessageType::kPublish;
  RequestHeader header;
  std::uint32_t slot = 0;
  std::uint32_t wants_spare = 0;  // 0 or 1
  std::uint64_t word = 0;
};
// A spare is a draft without a name yet, granted ahead: of the size, kind and namespace of the tensor that
// was just published, because the next one is likely to be so. A client has one at most. The daemon takes it
// back when memory or slots are short, or it is not used for a while: so whoever writes into it pins its slot
// first, and then looks whether the word is still the same, as with a tensor (shm/slot.hpp).
struct PublishReply {
  ReplyHeader header;
  Granted spare;
};
// Gives the spare a name and publishes it: Create and Publish in one. The tensor takes exactly the bytes that
// were granted. Fails with kNotFound if the spare was taken back; after any other error it is still there.
struct PublishSpare {
  static constexpr auto kType = MessageType::kPublishSpare;
  RequestHeader header;
  NameText name;
  std::uint8_t lifetime = 0;     // Lifetime
  std::uint8_t replace = 0;      // 0 or 1
  std::uint8_t wants_spare = 0;  // 0 or 1
  std::uint8_t reserved = 0;
  TensorSpec spec;
  std::uint64_t word = 0;
  std::uint32_t slot = 0;
  std::uint32_t reserved_too = 0;
};
// Publishes all or none. A batch of more than kMaxEntries comes in several messages, in order: the daemon
// keeps what came so far and publishes with the last. When one of them fails, the batch is forgotten, so
// that those behind it fail, too.
struct PublishMany {
  static constexpr auto kType = MessageType::kPublishMany;
  static constexpr std::size_t kMaxEntries = 254;
  struct Entry {
    std::uint32_t slot = 0;
    std::uint32_t reserved = 0;
    std::uint64_t word = 0;
  };
  RequestHeader header;
  std::uint32_t total = 0;  // entries of the whole batch
  std::uint32_t first = 0;  // how many came before; 0 begins a new batch
  std::uint32_t count = 0;  // entries of this message
  std::uint32_t reserved = 0;
  std::array<Entry, kMaxEntries> entries{};
};
struct PublishManyReply {
  ReplyHeader header;
};
struct Abort {
  static constexpr auto kType = MessageType::kAbort;
  RequestHeader header;
  std::uint32_t slot = 0;
  std::uint32_t reserved = 0;
  std::uint64_t word = 0;
};
struct AbortReply {
  ReplyHeader header;
};

struct Delete {
  static constexpr auto kType = MessageType::kDelete;
  RequestHeader header;
  NameText name;
};
struct DeleteReply {
  ReplyHeader header;
};

enum class Access : std::uint32_t { kNone = 0, kRead = 1, kWrite = 2 };

// What the client does if there is no such tensor, and so what the daemon has to say.
enum class IfNone : std::uint32_t {
  kExplain = 0,     // shows the text: who is building it, and near names
  kSayNothing = 1,  // reads no text
  kWait = 2,        // waits: the name's event (shm/catalog.hpp) is to wake it, which it does for nobody else
  kGiveUp = 3,      // has waited; as kExplain, but also if nobody is building it
};

// Asked when the catalog had no answer, and on the first attach to a segment: then `access` asks
// for the descriptors in the same round trip.
struct Find {
  static constexpr auto kType = MessageType::kFind;
  RequestHeader header;
  NameText name;
  Access access = Access::kNone;
  IfNone if_none = IfNone::kExplain;
};
// + the descriptors of GrantReply, unless access is kNone.
struct FindReply {
  ReplyHeader header;
  std::uint32_t slot = 0;
  std::uint32_t owner_uid = 0;
  std::uint64_t segment = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t created_unix_ns = 0;
  TensorSpec spec;
  std::uint8_t kind = 0;      // Kind
  std::uint8_t lifetime = 0;  // Lifetime
  std::uint8_t reserved[6] = {};
};

// For who builds a tensor in a segment that it has not mapped yet; and right behind Hello, with segment 0 and
// to read: the one that was granted last, to anybody, so that a first attach finds it mapped. Not every
// client may read that, and there may be none; then the reply is an ErrorReply.
struct Grant {
  static constexpr auto kType = MessageType::kGrant;
  RequestHeader header;
  std::uint64_t segment = 0;
  Access access = Access::kRead;
  std::uint32_t reserved = 0;
};
// + [read-only descriptor], or for Access::kWrite [read-only, read-write].
struct GrantReply {
  ReplyHeader header;
  std::uint64_t segment = 0;
  std::uint64_t size_bytes = 0;
};

struct List {
  static constexpr auto kType = MessageType::kList;
  RequestHeader header;
  NameText prefix;
  NameText after;  // the last name of the page before; empty for the first page
};
struct ListReply {
  static constexpr std::size_t kNamesBytes = 4072;
  ReplyHeader header;
  std::uint32_t count = 0;
  std::uint32_t more = 0;  // 1 if the next page is not empty
  // `count` times: a size byte, then that many bytes of a name.
  std::array<char, kNamesBytes> names{};
};

struct Stats {
  static constexpr auto kType = MessageType::kStats;
  RequestHeader header;
};
struct StatsReply {
  ReplyHeader header;
  std::uint64_t limit_bytes = 0;
  std::uint64_t reserved_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t dying_bytes = 0;
  std::uint64_t largest_free_bytes = 0;
  std::uint64_t uptime_ms = 0;
  std::uint64_t published = 0;  // these three: since this daemon began
  std::uint64_t published_bytes = 0;
  std::uint64_t deleted = 0;
  std::uint32_t tensors = 0;
  std::uint32_t dying_tensors = 0;
  std::uint32_t building_tensors = 0;
  std::uint32_t max_tensors = 0;
  std::uint32_t segments = 0;
  std::uint32_t connections = 0;
  std::uint32_t max_connections = 0;
  std::uint32_t daemon_pid = 0;
  std::uint32_t kept_by = 0;  // KeptBy
  Text<24> version;
};

// Connections are known by the number in their ledger (shm/ledger.hpp).
struct AskAbout {
  static constexpr auto kType = MessageType::kAskAbout;
  RequestHeader header;
  std::uint32_t connection = 0;
  std::uint32_t reserved = 0;
};
struct AskAboutReply {
  ReplyHeader header;
  std::uint32_t connected = 0;  // 0 or 1
  std::uint32_t pid = 0;        // of who connected; 0 if not connected
};

// Of a name: who has the tensor attached, who is building one, and who still holds those that had the name
// before and were deleted or replaced. Without a name, as far as this client may read it: who holds what has
// none (the dying, what is being built, and spares), or who holds anything at all whose name begins so.
struct Holders {
  static constexpr auto kType = MessageType::kHolders;
  RequestHeader header;
  enum class Of : std::uint32_t { kName = 0, kNameless = 1, kPrefix = 2 };
  NameText name;  // or the prefix; of kNameless: empty
  // Where the page begins: 0 and 0, or what the page before said.
  std::uint32_t from_slot = 0;
  std::uint32_t from_connection = 0;
  Of of = Of::kName;
};
// Ordered by slot, then by connection. A page may be empty and others follow, for the daemon looks at so many
// slots at a time.
struct HoldersReply {
  static constexpr std::size_t kMaxEntries = 13;
  struct Entry {
    NameText name;  // none: of a spare
    std::uint32_t slot = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t created_unix_ns = 0;    // the tensor; 0: a spare
    std::uint64_t connected_unix_ns = 0;  // the connection
    std::uint32_t connection = 0;
    std::uint32_t pid = 0;  // as the daemon sees it; 0: in no namespace of processes that it sees
    std::uint32_t uid = 0;
    std::uint32_t views_untrusted = 0;  // as that client's ledger says
    std::uint32_t state = 0;            // HolderState
    std::uint32_t reserved = 0;
  };
  ReplyHeader header;
  std::uint32_t count = 0;
  std::uint32_t more = 0;  // 1 if another page follows; then the next two say where it begins
  std::uint32_t next_slot = 0;
  std::uint32_t next_connection = 0;
  std::uint32_t your_pid = 0;  // of who asks, as the daemon sees it
  std::uint32_t reserved = 0;
  std::array<Entry, kMaxEntries> entries{};
};

// What each user has of the store: all who have anything, for root and the daemon's user; of himself, for
// others.
struct Users {
  static constexpr auto kType = MessageType::kUsers;
  RequestHeader header;
  std::uint32_t from_uid = 0;  // where the page begins: 0, or what the page before said
  std::uint32_t reserved = 0;
};
// Ordered by uid. The limits are everybody's: his quota, or the store's where that is less.
struct UsersReply {
  static constexpr std::size_t kMaxEntries = 24;
  struct Entry {
    std::uint32_t uid = 0;
    std::uint32_t reserved = 0;
    std::uint64_t used_bytes = 0;
    std::uint64_t dying_bytes = 0;
    std::uint64_t tensors = 0;
    std::uint64_t connections = 0;
  };
  ReplyHeader header;
  std::uint32_t count = 0;
  std::uint32_t more = 0;  // 1 if another page follows
  std::uint32_t next_uid = 0;
  std::uint32_t reserved = 0;
  std::uint64_t max_bytes = 0;
  std::uint64_t max_dying_bytes = 0;
  std::uint64_t max_tensors = 0;
  std::uint64_t max_connections = 0;
  std::array<Entry, kMaxEntries> entries{};
};

// Who sleeps, as far as this client may read what they wait for; of its own user's waits, all.
struct Waiters {
  static constexpr auto kType = MessageType::kWaiters;
  RequestHeader header;
  std::uint32_t from_connection = 0;  // where the page begins: 0, or what the page before said
  std::uint32_t reserved = 0;
};
// Ordered by connection; all waits of one are in one page, which may be empty and others follow.
struct WaitersReply {
  static constexpr std::size_t kMaxEntries = 13;
  struct Entry {
    NameText name;
    std::uint32_t waits_for = 0;                // WaitsFor
    std::uint64_t since_unix_ns_untrusted = 0;  // as that client says
    std::uint32_t connection = 0;
    std::uint32_t pid = 0;  // as the daemon sees it; 0: in no namespace of processes that it sees
    std::uint32_t uid = 0;
    std::uint32_t reserved = 0;
  };
  ReplyHeader header;
  std::uint32_t count = 0;
  std::uint32_t more = 0;  // 1 if another page follows
  std::uint32_t next_connection = 0;
  std::uint32_t your_pid = 0;  // of who asks, as the daemon sees it
  std::array<Entry, kMaxEntries> entries{};
};

struct Shutdown {
  static constexpr auto kType = MessageType::kShutdown;
  RequestHeader header;
  std::uint32_t restart = 0;  // 0 or 1: the store goes on with a new daemon, if somebody keeps it
  std::uint32_t reserved = 0;
};
struct ShutdownReply {
  ReplyHeader header;
};

struct Nudge {
  static constexpr auto kType = MessageType::kNudge;
  RequestHeader header;
  std::uint32_t slot = 0;
  std::uint32_t reserved = 0;
};
// By ring only, where every request is answered.
struct NudgeReply {
  ReplyHeader header;
};

// From who can only read the tensor: its next writers are to wake who sleeps on it (shm/live_header.hpp).
struct Await {
  static constexpr auto kType = MessageType::kAwait;
  RequestHeader header;
  std::uint32_t slot = 0;
  std::uint32_t reserved = 0;
  std::uint64_t word = 0;  // of the slot, in any state: names the tensor
};
// As NudgeReply.
struct AwaitReply {
  ReplyHeader header;
};

template <class T>
concept Message = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
                  sizeof(T) <= kMaxMessageBytes;

static_assert(Message<Hello> && Message<HelloReply> && Message<ErrorReply>);
static_assert(Message<Create> && Message<CreateReply> && Message<Publish> && Message<PublishReply>);
static_assert(Message<Abort> && Message<AbortReply> && Message<Delete> && Message<DeleteReply>);
static_assert(Message<Find> && Message<FindReply> && Message<Grant> && Message<GrantReply>);
static_assert(Message<List> && Message<ListReply> && Message<Stats> && Message<StatsReply>);
static_assert(Message<AskAbout> && Message<AskAboutReply> && Message<Holders> && Message<HoldersReply>);
static_assert(Message<Users> && Message<UsersReply> && sizeof(UsersReply) <= 1024, "it fits into a ring");
static_assert(Message<Waiters> && Message<WaitersReply>);
static_assert(Message<PublishMany> && Message<PublishManyReply> && Message<PublishSpare>);
static_assert(Message<Await> && Message<AwaitReply>);
static_assert(Message<Shutdown> && Message<ShutdownReply> && Message<Nudge> && Message<NudgeReply>);
static_assert(sizeof(Hello) == 24 && sizeof(HelloReply) == 40 && sizeof(ErrorReply) == 1024,
              "these three never change");

template <Message T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& message) {
  return std::as_bytes(std::span(&message, 1));
}

}  // namespace tensord::protocol
