// Clients that send what no client of ours would. The property, after every attack: the attacker is
// disconnected (or told no), the log names it once, and an honest client goes on as before.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "hello.hpp"
#include "os/memfd.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"
#include "shm/catalog.hpp"

using namespace tensord;
using namespace tensord::protocol;
using tensord::test::DaemonProcess;
using tensord::test::eventually;

namespace {

class Attacker {
 public:
  explicit Attacker(const DaemonProcess& daemon) : socket_(os::connect_seqpacket(daemon.socket())) {}

  template <class T>
  void send(const T& message, std::span<const int> fds = {}) {
    os::send_message(socket_.get(), bytes_of(message), fds);
  }
  void send_bytes(std::span<const std::byte> bytes) { os::send_message(socket_.get(), bytes); }

  // The next message from the daemon; its size is 0 after a hang-up.
  os::Received receive() { return os::receive_message(socket_.get(), buffer_, 2); }
  template <class T>
  T receive_as() {
    T message{};
    const os::Received received = receive();
    REQUIRE(received.size_bytes == sizeof message);
    std::memcpy(&message, buffer_.data(), sizeof message);
    return message;
  }
  void say_hello() {
    send(tensord::test::make_hello());
    const auto received = receive();
    REQUIRE(received.size_bytes == sizeof(HelloReply));
  }
  bool is_disconnected() {
    for (;;) {
      if (receive().size_bytes == 0) return true;
    }
  }
  // Takes in what has arrived, without waiting; false after a hang-up.
  bool drain() {
    for (;;) {
      const os::Received received = os::receive_message(socket_.get(), buffer_, 2, /*block=*/false);
      if (received.would_block) return true;
      if (received.size_bytes == 0) return false;
    }
  }

 private:
  os::UniqueFd socket_;
  std::array<std::byte, kMaxMessageBytes> buffer_{};
};

std::size_t count_in(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

// A daemon with an honest client, who holds a tensor.
struct Scene {
  DaemonProcess daemon;
  Store honest = daemon.connect();
  const std::vector<float> values{1, 2, 3, 4};
  View held = honest.put<float>("honest/x", values);
};

// An honest client that was there before, and one that comes now.
void check_that_others_go_on(const DaemonProcess& daemon, const Store& honest, const View& held) {
  REQUIRE(daemon.running());
  CHECK(held.as<float>()[2] == 3.0f);
  CHECK(honest.attach("honest/x").as<float>()[0] == 1.0f);
  const Store newcomer = daemon.connect();
  CHECK(newcomer.contains("honest/x"));
}

Create honest_create(const std::string& name) {
  Create create;
  create.header = {Create::kType, 2};
  create.name.assign(name);
  const std::int64_t shape[] = {4};
  create.spec = make_contiguous_spec(kFloat32, shape).value();
  return create;
}

}  // namespace

TEST_CASE_METHOD(Scene,
                 "requests out of form end their connection, with one line in the log, and nobody else's",
                 "[hostile]") {
  struct Attack {
    std::string what;
    bool after_hello;
    std::function<void(Attacker&)> act;
  };
  const auto raw = [](std::size_t size, int fill) {
    return std::vector<std::byte>(size, static_cast<std::byte>(fill));
  };
  const std::vector<Attack> attacks = {
      {"a request before hello", false,
       [](Attacker& a) {
         a.send(Stats{{Stats::kType, 1}});
       }},
      {"hello with another magic", false,
       [](Attacker& a) {
         Hello hello;
         hello.header.type = Hello::kType;
         hello.magic = 42;
         a.send(hello);
       }},
      {"half a hello", false, [&](Attacker& a) { a.send_bytes(raw(12, 1)); }},
      {"one byte", false, [&](Attacker& a) { a.send_bytes(raw(1, 0)); }},
      {"garbage of the largest size", false, [&](Attacker& a) { a.send_bytes(raw(kMaxMessageBytes, 0xff)); }},
      {"a message that is too large", false,
       [&](Attacker& a) { a.send_bytes(raw(kMaxMessageBytes + 1, 0)); }},
      {"hello twice", true,
       [](Attacker& a) {
         a.send(Hello{{Hello::kType, 2}});
       }},
      {"an unknown type", true,
       [](Attacker& a) {
         a.send(RequestHeader{static_cast<MessageType>(77), 2});
       }},
      {"less than a header", true, [&](Attacker& a) { a.send_bytes(raw(3, 9)); }},
      {"a request cut short", true,
       [](Attacker& a) {
         const Create create = honest_create("x");
         a.send_bytes(bytes_of(create).first(100));
       }},
      {"a request with a tail", true,
       [&](Attacker& a) {
         auto bytes = raw(sizeof(Publish) + 8, 0);
         const RequestHeader header{Publish::kType, 2};
         std::memcpy(bytes.data(), &header, sizeof header);
         a.send_bytes(bytes);
       }},
      {"a message that is too large, later", true, [&](Attacker& a) { a.send_bytes(raw(100'000, 0)); }},
      {"descriptors", true,
       [](Attacker& a) {
         const int fds[] = {0, 1, 2};
         a.send(Stats{{Stats::kType, 2}}, fds);
       }},
  };
  for (const Attack& attack : attacks) {
    INFO(attack.what);
    const std::size_t lines_before = count_in(daemon.log(), "is disconnected");
    Attacker attacker(daemon);
    if (attack.after_hello) attacker.say_hello();
    attack.act(attacker);
    CHECK(attacker.is_disconnected());
    CHECK(eventually([&] { return count_in(daemon.log(), "is disconnected") > lines_before; }));
    check_that_others_go_on(daemon, honest, held);
    CHECK(count_in(daemon.log(), "is disconnected") == lines_before + 1);
  }
  CHECK(eventually([&] { return honest.stats().connections == 1; }));
}

TEST_CASE_METHOD(Scene, "requests that are wrong in content get an error and change nothing", "[hostile]") {
  Attacker attacker(daemon);
  attacker.say_hello();

  const auto refused = [&](const auto& request, Errc code) {
    attacker.send(request);
    const auto error = attacker.receive_as<ErrorReply>();
    CHECK(error.header.status == code);
    CHECK(error.header.id == request.header.id);
    CHECK(!error.text.view().empty());
  };
  const auto changed = [](auto message, auto&& change) {
    change(message);
    return message;
  };

  refused(changed(honest_create("x"), [](Create& c) { c.name.size = 0xffff'ffff; }), Errc::kInvalidArgument);
  refused(honest_create(""), Errc::kInvalidArgument);
  refused(honest_create("a//b"), Errc::kInvalidArgument);
  refused(honest_create(std::string("a\0b", 3)), Errc::kInvalidArgument);
  refused(honest_create("\xff\xfe"), Errc::kInvalidArgument);
  refused(honest_create("honest/x"), Errc::kAlreadyExists);
  refused(changed(honest_create("x"), [](Create& c) { c.kind = 2; }), Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.lifetime = 200; }), Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.ndim = 17; }), Errc::kLimitReached);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.ndim = 0xffff'ffff; }), Errc::kLimitReached);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.dtype = {3, 64, 1}; }), Errc::kUnsupportedType);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.dtype.lanes = 0xffff; }),
          Errc::kUnsupportedType);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.shape[0] = -1; }), Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.strides[0] = -1; }), Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.shape[0] = INT64_MAX; }),
          Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.strides[0] = INT64_MAX; }),
          Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.spec.shape[0] = std::int64_t{1} << 59; }),
          Errc::kOutOfSpace);

  refused(changed(honest_create("x"),
                  [](Create& c) { c.room_offset_bytes = UINT64_MAX, c.room_bytes = UINT64_MAX; }),
          Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.room_bytes = 15; }), Errc::kInvalidArgument);
  refused(changed(honest_create("x"), [](Create& c) { c.room_bytes = UINT64_MAX; }), Errc::kOutOfSpace);
  refused(changed(honest_create("x"), [](Create& c) { c.room_offset_bytes = UINT64_MAX - 19; }),
          Errc::kOutOfSpace);
  refused(changed(honest_create("x"), [](Create& c) { c.in_room_of_word = 1; }), Errc::kNotFound);
  refused(changed(honest_create("x"),
                  [](Create& c) { c.in_room_of_word = 257, c.in_room_of_slot = 0xffff'ffff; }),
          Errc::kNotFound);

  refused(Publish{{Publish::kType, 3}, 0, 0, 0}, Errc::kNotFound);
  refused(Publish{{Publish::kType, 3}, 0xffff'ffff, 0, 0}, Errc::kNotFound);
  refused(Abort{{Abort::kType, 4}, 5, 0, 12345}, Errc::kNotFound);
  refused(Grant{{Grant::kType, 5}, 0, Access::kWrite, 0}, Errc::kNotFound);
  refused(Grant{{Grant::kType, 5}, UINT64_MAX, Access::kWrite, 0}, Errc::kNotFound);
  refused(Grant{{Grant::kType, 5}, 1, static_cast<Access>(9), 0}, Errc::kInvalidArgument);
  refused(changed(Find{}, [](Find& f) { f.header = {Find::kType, 6}; }), Errc::kNotFound);
  refused(changed(Delete{},
                  [](Delete& d) {
                    d.header = {Delete::kType, 7}, d.name.size = 255;
                  }),
          Errc::kNotFound);

  refused(Publish{{Publish::kType, 3}, 0, 2, 0}, Errc::kInvalidArgument);
  refused(changed(PublishSpare{},
                  [](PublishSpare& p) {
                    p.header = {PublishSpare::kType, 3}, p.wants_spare = 2;
                  }),
          Errc::kInvalidArgument);
  refused(Shutdown{{Shutdown::kType, 3}, 2, 0}, Errc::kInvalidArgument);
  refused(Shutdown{{Shutdown::kType, 3}, 1, 0}, Errc::kInvalidArgument);  // nobody keeps it

  // Memory is shared within a namespace only, and a spare is for what it was granted for.
  attacker.send(honest_create("ours/x"));
  const Granted ours = attacker.receive_as<CreateReply>().draft;
  const auto joins = [&](const std::string& name) {
    return changed(honest_create(name), [&](Create& c) {
      c.in_room_of_word = ours.word, c.in_room_of_slot = ours.slot, c.room_offset_bytes = 0;
    });
  };
  refused(joins("theirs/x"), Errc::kInvalidArgument);
  attacker.send(Publish{{Publish::kType, 3}, ours.slot, 1, ours.word});
  const Granted spare = attacker.receive_as<PublishReply>().spare;
  REQUIRE(spare.word != 0);
  const auto into_spare = [&](const std::string& name) {
    PublishSpare publish;
    publish.header = {PublishSpare::kType, 3};
    publish.name.assign(name);
    publish.spec = honest_create(name).spec;
    publish.slot = spare.slot;
    publish.word = spare.word;
    return publish;
  };
  refused(into_spare("theirs/x"), Errc::kInvalidArgument);
  refused(changed(into_spare("ours/y"), [](PublishSpare& p) { p.spec.shape[0] += 100; }),
          Errc::kInvalidArgument);
  refused(into_spare("ours/x"), Errc::kAlreadyExists);
  attacker.send(changed(Delete{}, [](Delete& d) {
    d.header = {Delete::kType, 7};
    d.name.assign("ours/x");
  }));
  static_cast<void>(attacker.receive_as<DeleteReply>());

  // Somebody else's tensor in the making is not ours to publish or drop, whatever we guess.
  const auto builder = honest.build("honest/half", kFloat32, std::vector<std::int64_t>{4});
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    for (std::uint64_t generation = 0; generation < 4; ++generation) {
      const std::uint64_t word = shm::SlotWord::of(generation, shm::SlotState::kBuilding).bits;
      refused(Publish{{Publish::kType, 8}, slot, 0, word}, Errc::kNotFound);
      refused(Abort{{Abort::kType, 9}, slot, 0, word}, Errc::kNotFound);
    }
  }
  const StoreStats stats = honest.stats();
  CHECK(stats.tensors == 1);
  CHECK(stats.building_tensors == 1);
  check_that_others_go_on(daemon, honest, held);
}

TEST_CASE_METHOD(Scene, "a batch that comes in pieces is published as it was announced, or not at all",
                 "[hostile]") {
  Attacker attacker(daemon);
  attacker.say_hello();
  std::vector<CreateReply> created;
  for (int i = 0; i < 4; ++i) {
    attacker.send(honest_create("batch/" + std::to_string(i)));
    created.push_back(attacker.receive_as<CreateReply>());
  }
  const auto part = [&](std::uint32_t total, std::uint32_t first, std::uint32_t count) {
    PublishMany publish;
    publish.header = {PublishMany::kType, 3};
    publish.total = total;
    publish.first = first;
    publish.count = count;
    for (std::uint32_t i = 0; i < count && i < publish.entries.size(); ++i) {
      const Granted& tensor = created[(first + i) % created.size()].draft;
      publish.entries[i] = {tensor.slot, 0, tensor.word};
    }
    return publish;
  };
  const auto refused = [&](const PublishMany& publish, Errc code) {
    attacker.send(publish);
    CHECK(attacker.receive_as<ErrorReply>().header.status == code);
  };
  const auto taken = [&](const PublishMany& publish) {
    attacker.send(publish);
    CHECK(attacker.receive_as<PublishManyReply>().header.status == Errc::kOk);
  };
  const auto published = [&] { return honest.names("batch/").size(); };

  // Nothing, too much, more than was ever created, a middle without a beginning.
  refused(part(0, 0, 0), Errc::kInvalidArgument);
  refused(part(4, 0, 0), Errc::kInvalidArgument);
  refused(part(4, 0, 5), Errc::kInvalidArgument);
  refused(part(5, 0, 4), Errc::kInvalidArgument);
  refused(part(0xffff'ffff, 0, 254), Errc::kInvalidArgument);
  refused(part(4, 0, 0xffff'ffff), Errc::kInvalidArgument);
  refused(part(4, 2, 2), Errc::kInvalidArgument);
  refused(part(4, 0xffff'fffe, 4), Errc::kInvalidArgument);
  CHECK(published() == 0);

  // A part that does not go on as it should forgets the batch: what comes behind is no batch of its own.
  taken(part(4, 0, 2));
  refused(part(4, 1, 2), Errc::kInvalidArgument);
  refused(part(4, 2, 2), Errc::kInvalidArgument);
  // So does one of another total.
  taken(part(4, 0, 2));
  refused(part(3, 2, 2), Errc::kInvalidArgument);
  refused(part(4, 2, 2), Errc::kInvalidArgument);
  CHECK(published() == 0);

  // In between, a tensor of the batch is aborted.
  taken(part(4, 0, 2));
  attacker.send(Abort{{Abort::kType, 4}, created[0].draft.slot, 0, created[0].draft.word});
  CHECK(attacker.receive_as<AbortReply>().header.status == Errc::kOk);
  refused(part(4, 2, 2), Errc::kInvalidArgument);  // only three are left
  CHECK(published() == 0);
  attacker.send(honest_create("batch/0"));
  created[0] = attacker.receive_as<CreateReply>();

  // In between, one is published by itself: the rest is no whole batch any more.
  taken(part(3, 0, 2));
  attacker.send(Publish{{Publish::kType, 5}, created[1].draft.slot, 0, created[1].draft.word});
  CHECK(attacker.receive_as<PublishReply>().header.status == Errc::kOk);
  refused(part(3, 2, 1), Errc::kNotFound);
  CHECK(published() == 1);

  // A new beginning forgets what came; whole, it is published. Then the attacker leaves half of another.
  created.erase(created.begin() + 1);
  taken(part(3, 0, 1));
  taken(part(3, 0, 1));
  taken(part(3, 1, 2));
  CHECK(published() == 4);
  created.clear();
  for (int i = 4; i < 6; ++i) {
    attacker.send(honest_create("batch/" + std::to_string(i)));
    created.push_back(attacker.receive_as<CreateReply>());
  }
  taken(part(2, 0, 1));
  attacker = Attacker(daemon);
  CHECK(eventually([&] { return honest.stats().building_tensors == 0; }));
  CHECK(published() == 4);
  check_that_others_go_on(daemon, honest, held);
}

TEST_CASE("a hundred thousand random messages of every type and size do not harm the daemon", "[hostile]") {
  const DaemonProcess daemon({"--max-bytes", "256MiB"});
  const Store honest = daemon.connect();
  const std::vector<float> values{1, 2, 3, 4};
  const View held = honest.put<float>("honest/x", values);
  constexpr std::size_t kSizes[] = {
      sizeof(Hello),   sizeof(Create),   sizeof(Publish),     sizeof(Abort), sizeof(Delete),
      sizeof(Find),    sizeof(Grant),    sizeof(List),        sizeof(Stats), sizeof(Shutdown),
      sizeof(Nudge),   sizeof(AskAbout), sizeof(PublishMany), sizeof(Await), sizeof(PublishSpare),
      sizeof(Holders), sizeof(Users),    sizeof(Waiters)};
  std::mt19937_64 random(20261124);
  std::size_t sent = 0;
  while (sent < 100'000) {
    Attacker attacker(daemon);
    attacker.say_hello();
    for (int i = 0; i < 500; ++i, ++sent) {
      const std::size_t type = random() % std::size(kSizes);
      if (type + 1 == static_cast<std::size_t>(MessageType::kShutdown)) continue;  // it may: same user
      std::vector<std::byte> message(random() % 16 == 0 ? 1 + random() % 600 : kSizes[type]);
      // Mostly zeroes and small numbers, so that checks are passed and the content is reached.
      for (std::byte& byte : message) {
        byte = static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 8 == 0 ? random() % 5 : 0);
      }
      const RequestHeader header{static_cast<MessageType>(type + 1), static_cast<std::uint32_t>(i)};
      if (message.size() >= sizeof header) std::memcpy(message.data(), &header, sizeof header);
      if (type == 0) message.resize(std::max<std::size_t>(message.size(), 25));  // no second, valid hello
      attacker.send_bytes(message);
      if (!attacker.drain()) break;
    }
  }
  check_that_others_go_on(daemon, honest, held);
  CHECK(eventually([&] { return honest.stats().connections == 1; }));
  for (const std::string& name : honest.names()) {
    if (name != "honest/x") honest.remove(name);
  }
  CHECK(eventually([&] { return honest.stats().tensors == 1 && honest.stats().building_tensors == 0; }));
}

TEST_CASE_METHOD(Scene,
                 "a client that scribbles over its ledger delays frees of what it was granted, and no more",
                 "[hostile]") {
  {
    const os::UniqueFd socket = os::connect_seqpacket(daemon.socket());
    os::send_message(socket.get(), bytes_of(tensord::test::make_hello()));
    std::array<std::byte, kMaxMessageBytes> buffer;
    os::Received welcome = os::receive_message(socket.get(), buffer, 2);
    REQUIRE(welcome.fds.size() == 2);
    const os::Memfd ledger = os::Memfd::adopt_sealed(std::move(welcome.fds[1]));
    // It cannot shrink it under the daemon's eyes, which would be a SIGBUS there.
    CHECK(::ftruncate(ledger.fd(), 0) != 0);
    const boost::interprocess::mapped_region region(ledger, boost::interprocess::read_write);
    std::memset(region.get_address(), 0xff, region.get_size());

    // It was granted nothing, so its pins on everything count for nothing.
    honest.remove("honest/x");
    held.reset();
    CHECK(eventually([&] { return honest.stats().used_bytes == 0; }));

    // What it is granted, it does hold ...
    honest.put<float>("honest/y", values);
    Find find;
    find.header = {Find::kType, 2};
    find.name.assign("honest/y");
    find.access = Access::kRead;
    os::send_message(socket.get(), bytes_of(find));
    REQUIRE(os::receive_message(socket.get(), buffer, 2).size_bytes == sizeof(FindReply));
    honest.remove("honest/y");
    CHECK(honest.stats().dying_tensors == 1);
    // ... and others make new tensors meanwhile.
    CHECK(honest.put<float>("honest/z", values).as<float>()[3] == 4.0f);
  }
  // Until it hangs up.
  CHECK(eventually([&] { return honest.stats().dying_tensors == 0; }));
}

TEST_CASE("a client that never reads its replies is disconnected and blocks nobody", "[hostile]") {
  const DaemonProcess daemon;
  const Store honest = daemon.connect();
  Attacker flooder(daemon);
  flooder.say_hello();
  std::vector<std::byte> message(sizeof(List));
  const RequestHeader header{List::kType, 1};
  std::memcpy(message.data(), &header, sizeof header);
  for (int i = 0; i < 20'000; ++i) flooder.send_bytes(message);
  CHECK(honest.stats().tensors == 0);
  CHECK(eventually([&] { return honest.stats().connections == 1; }));
}

TEST_CASE("clients that connect and say nothing take no place from others", "[hostile]") {
  const DaemonProcess daemon({"--max-connections", "4"});
  std::vector<os::UniqueFd> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(os::connect_seqpacket(daemon.socket()));
  const Store honest = daemon.connect();
  CHECK(honest.stats().connections == 1);

  SECTION("and beyond the limit the error says so") {
    const std::array more{daemon.connect(), daemon.connect(), daemon.connect()};
    CHECK_THROWS_WITH(daemon.connect(), contains_text("4 connections, which is its limit"));
  }
}

TEST_CASE("a client of another version is told both versions", "[hostile]") {
  const DaemonProcess daemon;
  Attacker stranger(daemon);
  Hello hello;
  hello.header = {Hello::kType, 1};
  hello.protocol_version = 99;
  hello.layout_version = 98;
  stranger.send(hello);
  const auto error = stranger.receive_as<ErrorReply>();
  CHECK(error.header.status == Errc::kVersionMismatch);
  const std::string text(error.text.view());
  CHECK(text.find("protocol 99, layout 98") != std::string::npos);
  CHECK(text.find("protocol " + std::to_string(kProtocolVersion) + ", layout " +
                  std::to_string(shm::kLayoutVersion)) != std::string::npos);
  CHECK(stranger.is_disconnected());
}
