// Hostile clients, as processes of their own, that go on for as long as honest ones work beside them. What is
// asserted is what the honest ones got done, and that nothing is left of the others once they are gone.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "other_process.hpp"
#include "raw_client.hpp"
#include "shm/slot.hpp"
#include "users.hpp"
#include "word.hpp"

using namespace tensord;
using namespace tensord::protocol;
using tensord::test::Attack;
using tensord::test::become;
using tensord::test::DaemonProcess;
using tensord::test::eventually;
using tensord::test::in_child;
using tensord::test::kBob;
using tensord::test::Other;
using tensord::test::RawClient;
using tensord::test::Word;

namespace {

constexpr int kRounds = 300;         // of honest work under each attack
constexpr std::uint64_t kTurns = 5;  // of an attack, at least
constexpr std::size_t kElements = 1000;
constexpr std::size_t kFirstSegmentBytes = 16 << 20;  // as daemon/space.hpp has it

std::size_t descriptors_of(pid_t pid) {
  const auto folder = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

// One round of an honest client: makes a tensor, finds it as everybody does, and deletes it, while it still
// looks. True if every byte was as it should be.
bool work(const Store& writer, const Store& reader, int round) {
  std::vector<float> values(kElements);
  std::iota(values.begin(), values.end(), static_cast<float>(round));
  const std::string name = "work/" + std::to_string(round % 7);
  writer.put<float>(name, values, {.replace = true});
  const View view = reader.attach(name);
  if (round % 3 == 0) writer.remove(name);
  const auto seen = view.as<float>();
  return std::ranges::equal(seen, values) && reader.attach("kept").as<float>()[1] == 2.0f;
}

// Honest clients who work while the attacks go on, and what is left when those have ended.
void check_work_beside(const DaemonProcess& daemon, const std::vector<std::function<void()>>& attacks) {
  // First, so that they inherit no connection.
  std::vector<std::unique_ptr<Attack>> under_way;
  for (const auto& attack : attacks) under_way.push_back(std::make_unique<Attack>(attack));

  const Store writer = daemon.connect();
  const Store reader = daemon.connect();
  const View kept = writer.put<float>("kept", std::vector<float>{1, 2, 3});
  int done = 0;
  int correct = 0;
  const bool all_attacked = eventually([&] {
    correct += work(writer, reader, done++) ? 1 : 0;
    return done >= kRounds &&
           std::ranges::all_of(under_way, [](const auto& attack) { return attack->turns() >= kTurns; });
  });
  CHECK(all_attacked);
  CHECK(done >= kRounds);
  CHECK(correct == done);
  under_way.clear();

  REQUIRE(daemon.running());
  for (const std::string& name : writer.names("work/")) writer.remove(name);
  CHECK(eventually([&] { return writer.stats().connections == 2; }));
  const bool all_back = eventually([&] {
    const StoreStats stats = writer.stats();
    return stats.tensors == 1 && stats.dying_tensors == 0 && stats.building_tensors == 0;
  });
  CHECK(all_back);
  CHECK(kept.as<float>()[2] == 3.0f);
  CHECK(daemon.connect().attach("kept").as<float>()[0] == 1.0f);
}

// Another user if this is root, who may do everything.
std::optional<uid_t> somebody() { return ::geteuid() == 0 ? std::optional<uid_t>(65534) : std::nullopt; }

Create create_of(const std::string& name, std::int64_t elements) {
  Create create;
  create.header = {Create::kType, 3};
  create.name.assign(name);
  const std::int64_t shape[] = {elements};
  create.spec = make_contiguous_spec(kFloat32, shape).value();
  return create;
}

}  // namespace

TEST_CASE("a ledger that is nothing but garbage, always another, holds up nobody's work", "[hostile]") {
  const DaemonProcess daemon;
  check_work_beside(
      daemon, {[&, client = std::shared_ptr<RawClient>()]() mutable {
        static std::mt19937_64 random(1);
        if (!client) {
          client = std::make_shared<RawClient>(daemon.socket());
          client->find("kept");  // "kept" and "work/..." are of two namespaces
        }
        static_cast<void>(os::send_message(client->socket(), bytes_of(Stats{{Stats::kType, 2}}), {}, false));
        const auto bytes = client->ledger_bytes();
        auto* const words = reinterpret_cast<std::uint64_t*>(bytes.data());
        for (std::size_t i = 0; i < bytes.size() / 8; ++i) words[i] = random();
        std::array<std::byte, kMaxMessageBytes> buffer;
        while (true) {
          const auto received = os::receive_message(client->socket(), buffer, 2, false);
          if (received.would_block) break;
          if (received.size_bytes == 0) {
            client.reset();
            break;
          }
        }
      }});
}

TEST_CASE("a ledger of garbage lies about its own client's views only", "[hostile]") {
  const DaemonProcess daemon;
  const Store honest = daemon.connect();
  const View kept = honest.put<float>("kept", std::vector<float>{1, 2, 3});
  const View other = honest.put<float>("other", std::vector<float>{1, 2, 3}, {.kind = Kind::kLive});
  RawClient liar(daemon.socket());
  liar.find("kept");
  // But for the ring. "other" is in a segment that it was not granted.
  const auto bytes = liar.ledger_bytes();
  std::fill(bytes.data(), reinterpret_cast<std::byte*>(&liar.ring()), std::byte{0xff});
  const auto holders = honest.holders("kept");
  REQUIRE(holders.size() == 2);
  CHECK(holders[0].views == 1);
  CHECK(holders[1].views == 0xffff'ffff);
  CHECK(holders[0].connection < holders[1].connection);
  CHECK(honest.holders("other").size() == 1);
  for (const Holder& holder : honest.holders()) CHECK(holder.state == HolderState::kSpare);
  CHECK_THROWS_AS(honest.holders("none"), NotFoundError);

  // Whatever it names as the place to go on from, and as the name.
  Holders request;
  request.header = {Holders::kType, 2};
  request.name.size = 0xffff'ffff;
  request.name.bytes.fill('\xff');
  request.from_slot = 0xffff'ffff;
  request.from_connection = 0xffff'ffff;
  for (const auto of : {Holders::Of::kName, Holders::Of::kNameless, Holders::Of::kPrefix}) {
    request.of = of;
    const auto reply = liar.ask<HoldersReply>(request);
    CHECK(reply.header.status == Errc::kOk);
    CHECK(reply.count == 0);
    CHECK(reply.more == 0);
  }
  request.of = static_cast<Holders::Of>(3);
  CHECK(liar.ask<ErrorReply>(request).header.status == Errc::kInvalidArgument);
}

TEST_CASE("a ring that is nothing but garbage, with the bell rung all the time, holds up nobody's work",
          "[hostile][ring]") {
  const DaemonProcess daemon;
  const auto attack = [&] {
    static std::mt19937_64 random(2);
    RawClient client(daemon.socket());
    auto* const words = reinterpret_cast<std::atomic<std::uint32_t>*>(&client.ring());
    for (int i = 0; i < 2'000; ++i) {
      const std::size_t at = random() % (i % 4 == 0 ? sizeof(shm::RingMemory) / 4 : 64);
      // Anything but the request to stop, which one user may make of his own daemon.
      auto word = static_cast<std::uint32_t>(i % 3 == 0 ? random() : random() % 40);
      if (word == static_cast<std::uint32_t>(MessageType::kShutdown)) ++word;
      words[at].store(word);
      if (i % 8 == 0) client.ring_bell();
    }
  };
  check_work_beside(daemon, {attack, attack});
}

TEST_CASE("requests in floods, whose replies nobody reads, hold up nobody's work", "[hostile]") {
  const DaemonProcess daemon;
  check_work_beside(daemon, {[&] {
                               RawClient client(daemon.socket());
                               List list;
                               list.header = {List::kType, 1};
                               while (client.try_send(bytes_of(list))) {
                               }
                             },
                             [&] {
                               // By ring: always full, never read.
                               RawClient client(daemon.socket());
                               shm::RingMemory& ring = client.ring();
                               for (shm::RingEntry& entry : ring.entries) {
                                 const Stats stats{{Stats::kType, 2}};
                                 entry.request_bytes = sizeof stats;
                                 std::memcpy(entry.request, &stats, sizeof stats);
                               }
                               for (int i = 0; i < 3'000; ++i) {
                                 ring.posted.store(ring.answered.load() + shm::kRingEntries);
                                 if (ring.watched.load() == 0) client.ring_bell();
                               }
                             }});
}

TEST_CASE("clients that come and go, with half a message or none, hold up nobody's work", "[hostile]") {
  const DaemonProcess daemon;
  check_work_beside(daemon, {[&] { static_cast<void>(os::connect_seqpacket(daemon.socket())); },
                             [&] {
                               const os::UniqueFd socket = os::connect_seqpacket(daemon.socket());
                               os::send_message(socket.get(), bytes_of(test::make_hello()).first(11));
                             },
                             [&] {
                               // A datagram of no bytes is no message.
                               RawClient client(daemon.socket());
                               static_cast<void>(::send(client.socket(), "", 0, MSG_NOSIGNAL));
                               client.is_disconnected();
                             },
                             [&] {
                               RawClient client(daemon.socket());
                               for (int i = 0; i < 20; ++i)
                                 client.send(create_of("come/" + std::to_string(i), 100));
                             }});
}

TEST_CASE(
    "descriptors that nobody asked for, few or as many as the kernel carries, end their client and stay "
    "nowhere",
    "[hostile]") {
  const DaemonProcess daemon;
  const Store honest = daemon.connect();
  CHECK(honest.stats().tensors == 0);
  const bool countable = ::geteuid() == 0;
  const std::size_t before = countable ? descriptors_of(daemon.pid()) : 0;
  const auto send_with = [](int socket, std::span<const std::byte> message, std::size_t count) {
    iovec part{const_cast<std::byte*>(message.data()), message.size()};
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    const std::vector<int> fds(count, STDERR_FILENO);
    std::memcpy(CMSG_DATA(rights), fds.data(), count * sizeof(int));
    return ::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0;
  };
  constexpr std::size_t kKernelLimit = 253;  // SCM_MAX_FD
  const auto stats = Stats{{Stats::kType, 2}};
  for (const std::size_t count : {std::size_t{1}, std::size_t{8}, kKernelLimit}) {
    INFO(count << " descriptors");
    RawClient client(daemon.socket());
    REQUIRE(send_with(client.socket(), bytes_of(stats), count));
    CHECK(client.is_disconnected());
    // With the very first message, too.
    const os::UniqueFd stranger = os::connect_seqpacket(daemon.socket());
    REQUIRE(send_with(stranger.get(), bytes_of(test::make_hello()), count));
    std::array<std::byte, kMaxMessageBytes> buffer;
    CHECK(os::receive_message(stranger.get(), buffer, 2).size_bytes == 0);
  }
  RawClient client(daemon.socket());
  CHECK_FALSE(send_with(client.socket(), bytes_of(stats), kKernelLimit + 1));
  CHECK(client.ask<StatsReply>(stats).connections == 2);  // it may stay: it sent nothing
  CHECK(eventually([&] { return honest.stats().connections == 2; }));
  // The one that is still here has a socket and a bell, and a ledger is kept ready for the next.
  if (countable) CHECK(eventually([&] { return descriptors_of(daemon.pid()) < before + 8; }));
}

TEST_CASE("what a client was given it can neither shorten nor seal, and what it was given to read not write",
          "[hostile]") {
  const DaemonProcess daemon({"--namespace-mode", "666"}, somebody());
  const Store honest = daemon.connect();
  const View held = honest.put<float>("open/x", std::vector<float>(5000, 1.0f));
  const int status = in_child([&] {
    // Neither the daemon's user nor the tensor's.
    if (somebody() && !test::become_user(*somebody() - 1, *somebody() - 1)) return 2;
    RawClient client(daemon.socket());
    const auto fds = client.find("open/x");
    if (fds.size() != 1) return 3;
    int broken = 0;
    const auto refuse = [&](bool done) { broken += done ? 1 : 0; };
    for (const int fd : {client.catalog().fd(), client.ledger().fd(), fds[0].get()}) {
      refuse(::ftruncate(fd, 0) == 0);
      refuse(::ftruncate(fd, 1 << 30) == 0);
      refuse(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
      refuse(::fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
      refuse(::fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) == 0);
    }
    for (const int fd : {client.catalog().fd(), fds[0].get()}) {
      refuse(::write(fd, "x", 1) == 1);
      refuse(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
      refuse(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
      void* const seen = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
      refuse(::mprotect(seen, 4096, PROT_READ | PROT_WRITE) == 0);
      refuse(::madvise(seen, 4096, MADV_REMOVE) == 0);
      // Root, and the user that the daemon runs as, could open it anew: docs/security.md.
      if (somebody()) {
        refuse(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR) >= 0);
        refuse(::fchmod(fd, 0666) == 0);
      }
    }
    return broken == 0 ? 0 : 100 + broken;
  });
  CHECK(status == 0);
  const auto values = held.as<float>();
  CHECK(std::ranges::count(values, 1.0f) == 5000);
}

TEST_CASE(
    "holes that a client punches into its ledger and its segments hurt those who gave it the right to write",
    "[hostile]") {
  const DaemonProcess daemon({"--namespace-mode", "666"});
  const Store honest = daemon.connect();
  const View in_open = honest.put<float>("open/x", std::vector<float>(5000, 1.0f));
  const View elsewhere = honest.put<float>("mine/x", std::vector<float>(5000, 2.0f));
  {
    RawClient client(daemon.socket());
    REQUIRE(client.find("open/x").size() == 1);
    Grant grant;
    grant.header = {Grant::kType, 4};
    grant.segment = in_open.location().segment;
    grant.access = Access::kWrite;
    std::vector<os::UniqueFd> fds;
    client.ask<GrantReply>(grant, &fds);
    REQUIRE(fds.size() == 2);
    const auto punch = [](int fd) {
      return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0;
    };
    CHECK(punch(fds[1].get()));
    CHECK(punch(client.ledger().fd()));
    // Its pins are gone, its ring, too; others go on, and the daemon still reads what is not there any more.
    honest.put<float>("open/y", std::vector<float>(10, 3.0f));
    honest.remove("open/y");
    CHECK(client.ask<StatsReply>(Stats{{Stats::kType, 5}}).tensors == 2);
  }
  CHECK(in_open.as<float>()[0] == 0.0f);  // docs/security.md says so
  CHECK(std::ranges::count(elsewhere.as<float>(), 2.0f) == 5000);
  CHECK(eventually([&] { return honest.stats().dying_tensors == 0; }));
}

TEST_CASE("a live tensor whose header is garbage, always another, keeps its readers no longer than they said",
          "[hostile]") {
  const DaemonProcess daemon;
  const Attack attack([&] {
    static std::mt19937_64 random(3);
    static const View view = daemon.connect().attach("open/live", Mode::kReadWrite);
    auto* const header =
        reinterpret_cast<std::atomic<std::uint64_t>*>(view.mutable_data() - shm::kLivePrefixBytes);
    for (int i = 0; i < 1'000; ++i) {
      header[random() % 3].store(random() % 2 == 0 ? random() : random() % 8);
    }
  });
  const Store honest = daemon.connect();
  const View view = honest.put<float>("open/live", std::vector<float>(100, 1.0f), {.kind = Kind::kLive});
  std::vector<float> own(100);
  int done = 0, read = 0, refused = 0;
  const bool enough = eventually([&] {
    try {
      view.read(std::span(own), std::chrono::milliseconds(2));
      ++read;
      view.wait(0, std::chrono::milliseconds(2));
    } catch (const TornWriteError&) {
      ++refused;
    } catch (const TimeoutError&) {
      ++refused;
    }
    return ++done >= kRounds && attack.turns() >= kTurns && refused > 0;
  });
  CHECK(enough);
  const bool is_whole = read == 0 || std::ranges::count(own, 1.0f) == 100;
  CHECK(is_whole);
  CHECK(honest.attach("open/live").numel() == 100);
}

TEST_CASE("who holds everything leaves others an error that says so, and all of it back when he ends",
          "[hostile]") {
  constexpr std::size_t kTensors = 40;
  constexpr std::size_t kBytes = 1 << 20;
  const DaemonProcess daemon({"--max-bytes", "64MiB"});
  const Store honest = daemon.connect();
  const std::vector<std::byte> megabyte(kBytes);
  const std::vector<std::int64_t> shape{kBytes};
  for (std::size_t i = 0; i < kTensors; ++i) {
    honest.put("all/" + std::to_string(i), kUInt8, shape, megabyte.data());
  }
  {
    const Attack holder([&] {
      static RawClient client(daemon.socket());
      static const auto fds = client.find("all/0");
      for (std::size_t i = 1; i < kTensors; ++i) client.find("all/" + std::to_string(i));  // its segment, too
      std::ranges::fill(client.ledger_bytes(), std::byte{0xff});
      ::usleep(1000);
    });
    REQUIRE(eventually([&] { return holder.turns() >= 2; }));
    for (const std::string& name : honest.names("all/")) honest.remove(name);
    CHECK(honest.stats().dying_tensors == kTensors);
    CHECK(honest.stats().dying_bytes == kTensors * kBytes);
    std::size_t fitted = 0;
    std::string told;
    while (told.empty() && fitted < 100) {
      try {
        honest.put("more/" + std::to_string(fitted), kUInt8, shape, megabyte.data());
        ++fitted;
      } catch (const OutOfSpaceError& error) {
        told = error.what();
      }
    }
    CHECK(fitted < kTensors);
    for (const char* word :
         {"asked 1 MiB", "free ", "largest range", "limit 64 MiB", "drop views of deleted ones"}) {
      CHECK_THAT(told, contains_text(word));
    }
    // What there is goes on, and so does the daemon.
    for (std::size_t i = 0; i < fitted; ++i)
      CHECK(honest.attach("more/" + std::to_string(i)).size_bytes() == kBytes);
  }
  CHECK(eventually([&] { return honest.stats().dying_bytes == 0; }));
  for (std::size_t i = 0; i < kTensors; ++i) {
    honest.put("again/" + std::to_string(i % 8), kUInt8, shape, megabyte.data(), {.replace = true});
  }
}

TEST_CASE("a forged ledger that pins everything uses up its own user's quota, and nobody else's",
          "[hostile][quotas]") {
  SKIP_UNLESS_ROOT();
  constexpr std::size_t kTensors = 8;
  constexpr std::size_t kBytes = 1 << 20;
  const DaemonProcess daemon(
      {"--namespace-mode", "0644", "--max-bytes-per-user", "8MiB", "--max-dying-bytes-per-user", "4MiB"}, 0);
  const Store honest = daemon.connect();
  const std::vector<std::byte> megabyte(kBytes);
  const std::vector<std::int64_t> shape{kBytes};
  const auto fill = [&] {
    for (std::size_t i = 0; i < kTensors; ++i) {
      honest.put("all/" + std::to_string(i), kUInt8, shape, megabyte.data());
    }
  };
  const auto empty = [&] {
    for (const std::string& name : honest.names("all/")) honest.remove(name);
  };
  fill();
  const Word pinned, deleted, refused;
  std::optional<Other> holder(std::in_place, [&] {
    try {
      if (!become(kBob)) throw std::runtime_error("cannot become another user");
      RawClient client(daemon.socket());
      for (std::size_t i = 0; i < kTensors; ++i) client.find("all/" + std::to_string(i));
      std::ranges::fill(client.ledger_bytes(), std::byte{0xff});
      pinned.say('.');
      if (deleted.hear() != '.') return 1;
      Find find;
      find.header = {Find::kType, 4};
      find.name.assign("all/0");
      find.access = Access::kRead;
      for (const auto& error :
           {client.ask<ErrorReply>(create_of("bob/x", 4)), client.ask<ErrorReply>(find)}) {
        const bool is_told = error.header.status == Errc::kOutOfSpace &&
                             error.text.view().find("--max-dying-bytes-per-user") != std::string_view::npos;
        if (!is_told) throw std::runtime_error(std::string(error.text.view()));
      }
      refused.say('.');
      for (;;) ::pause();
    } catch (const std::exception&) {
      for (const Word* word : {&pinned, &refused}) word->say('!');
      throw;
    }
  });
  REQUIRE(pinned.hear() == '.');
  empty();
  CHECK(honest.stats().dying_bytes == kTensors * kBytes);
  fill();
  deleted.say('.');
  CHECK(refused.hear() == '.');
  // The honest one has all of his quota, over and over. What the other one may keep ends with the segments
  // that he was granted before.
  for (int round = 0; round < 20; ++round) {
    empty();
    fill();
  }
  CHECK(honest.stats().dying_bytes <= kFirstSegmentBytes);
  std::size_t named = 0;
  for (const Holder& one : honest.holders()) {
    if (one.state != HolderState::kDying) continue;
    CHECK(one.uid == kBob.uid);
    ++named;
  }
  CHECK(named >= kTensors);
  holder.reset();
  CHECK(eventually([&] { return honest.stats().dying_bytes == 0; }));
}

TEST_CASE("who takes every slot or every connection leaves others an error that names the limit",
          "[hostile]") {
  const DaemonProcess daemon({"--max-tensors", "16", "--max-connections", "8"});
  const Store honest = daemon.connect();
  const View kept = honest.put<float>("kept", std::vector<float>{1, 2, 3});
  {
    RawClient taker(daemon.socket());
    for (int i = 0; i < 15; ++i) taker.ask<CreateReply>(create_of("taken/" + std::to_string(i), 4));
    CHECK_THROWS_WITH(honest.put<float>("more", std::vector<float>{1}), contains_text("--max-tensors"));
    std::vector<std::unique_ptr<RawClient>> takers;
    for (int i = 0; i < 6; ++i) takers.push_back(std::make_unique<RawClient>(daemon.socket()));
    CHECK_THROWS_WITH(daemon.connect(), contains_text("--max-connections"));
    CHECK(honest.attach("kept").as<float>()[1] == 2.0f);
    CHECK(honest.stats().connections == 8);
  }
  CHECK(eventually([&] { return honest.stats().connections == 1; }));
  CHECK(honest.put<float>("more", std::vector<float>{1}).numel() == 1);
  CHECK(daemon.connect().attach("kept").as<float>()[2] == 3.0f);
}

TEST_CASE("clients that connect and say nothing make room for one another, not for others", "[hostile]") {
  const DaemonProcess daemon;
  const Store honest = daemon.connect();
  const bool countable = ::geteuid() == 0;
  const std::size_t before = countable ? descriptors_of(daemon.pid()) : 0;
  std::vector<os::UniqueFd> silent;
  std::size_t welcomed = 0;
  for (int i = 0; i < 900; ++i) {
    silent.push_back(os::connect_seqpacket(daemon.socket()));
    if (i % 100 == 0) welcomed += daemon.connect().names().empty() ? 1 : 0;
  }
  CHECK(welcomed == 9);
  CHECK(honest.stats().connections == 1);
  if (countable) CHECK(descriptors_of(daemon.pid()) < before + 300);
  // The first ones were told to go, the last ones may still speak.
  pollfd first{silent.front().get(), 0, 0};
  CHECK(eventually([&] { return ::poll(&first, 1, 0) == 1; }));
  os::send_message(silent.back().get(), bytes_of(test::make_hello()));
  std::array<std::byte, kMaxMessageBytes> buffer;
  CHECK(os::receive_message(silent.back().get(), buffer, 2).size_bytes == sizeof(HelloReply));
  CHECK_THAT(daemon.log(), contains_text("it said no hello yet"));
}

TEST_CASE("who has not said hello after a while is disconnected", "[hostile]") {
  const DaemonProcess daemon;
  const os::UniqueFd silent = os::connect_seqpacket(daemon.socket());
  std::array<std::byte, kMaxMessageBytes> buffer;
  CHECK(os::receive_message(silent.get(), buffer, 2).size_bytes == 0);
  CHECK_THAT(daemon.log(), contains_text("it did not say hello in time"));
}

TEST_CASE("a tensor cannot be put where its elements would not be aligned", "[hostile]") {
  const DaemonProcess daemon;
  RawClient client(daemon.socket());
  Create create = create_of("odd", 4);
  create.room_bytes = 64;
  create.room_offset_bytes = 2;
  const auto error = client.ask<ErrorReply>(create);
  CHECK(error.header.status == Errc::kInvalidArgument);
  CHECK_THAT(std::string(error.text.view()), contains_text("aligned to 4 bytes"));
  create.room_offset_bytes = 4;
  CHECK(client.ask<CreateReply>(create).draft.offset % 4 == 0);
}
