// Sockets that are not a tensord's: connect() says so and loses nothing.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"
#include "os/socket.hpp"
#include "protocol/messages.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;

namespace {

struct Directory {
  std::string path = std::filesystem::temp_directory_path() / "tensord-stranger-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

// Accepts one client, reads its hello, and answers with these bytes (none: hangs up at once).
template <class Answer>
std::string error_when_served_by(Answer&& answer) {
  const Directory directory;
  const std::string path = directory.path + "/socket";
  os::UniqueFd listener = os::listen_seqpacket(path);
  std::thread server([&] {
    int fd = -1;
    while ((fd = ::accept(listener.get(), nullptr, nullptr)) < 0) std::this_thread::yield();
    const os::UniqueFd peer(fd);
    listener.reset();  // nobody follows
    std::array<std::byte, protocol::kMaxMessageBytes> buffer;
    (void)os::receive_message(peer.get(), buffer, 0);
    answer(peer.get());
  });
  std::string text = "no error";
  try {
    (void)Store::connect({path, false});
  } catch (const Error& error) {
    text = error.what();
  }
  server.join();
  return text;
}

}  // namespace

TEST_CASE("a stream socket, a refusing one and none are told apart", "[client][strangers]") {
  const Directory directory;
  const std::string path = directory.path + "/socket";
  CHECK_THROWS_WITH(Store::connect({path, false}), contains_text("no tensord daemon listens at"));

  const os::UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(::bind(stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(stream.get(), 1) == 0);
  CHECK_THROWS_WITH(Store::connect({path, false}), contains_text("is not a tensord socket"));
  CHECK_THROWS_AS(Store::connect({std::string(200, 'x'), false}), ConnectionLostError);
}

TEST_CASE("a server that does not speak our protocol is recognised", "[client][strangers]") {
  const auto bytes = [](std::size_t size, int fill) {
    return [=](int socket) {
      os::send_message(socket, std::vector<std::byte>(size, static_cast<std::byte>(fill)));
    };
  };
  CHECK_THAT(error_when_served_by([](int) {}), contains_text("hung up"));
  for (const std::size_t size : {1u, 16u, 40u, 1024u, 4096u}) {
    CHECK_THAT(error_when_served_by(bytes(size, 0x41)), contains_text("is not a tensord socket"));
    CHECK_THAT(error_when_served_by(bytes(size, 0)), contains_text("is not a tensord socket"));
  }
  CHECK_THAT(error_when_served_by(bytes(8000, 1)), contains_text("is not a tensord socket"));
}

TEST_CASE("a daemon that welcomes without descriptors, or with other files, is refused",
          "[client][strangers]") {
  const auto welcome = [](std::vector<int> fds) {
    return [fds](int socket) {
      protocol::HelloReply reply;
      reply.header = {protocol::MessageType::kHello, 1, Errc::kOk, 0};
      os::send_message(socket, protocol::bytes_of(reply), fds);
    };
  };
  CHECK_THAT(error_when_served_by(welcome({})), contains_text("is not a tensord socket"));
  CHECK_THAT(error_when_served_by(welcome({0, 1, 2})), contains_text("no sealed memfd"));
}

TEST_CASE("a daemon of another version is told from a stranger, in its own words", "[client][strangers]") {
  const auto refuse = [](int socket) {
    protocol::ErrorReply reply;
    reply.header = {protocol::MessageType::kHello, 1, Errc::kVersionMismatch, 0};
    reply.text.assign("the daemon (tensord 9.0) speaks protocol 9");
    os::send_message(socket, protocol::bytes_of(reply));
  };
  CHECK_THAT(error_when_served_by(refuse), contains_text("speaks protocol 9"));
}

TEST_CASE("a stopped daemon is reported after a while, not waited for for ever", "[client][strangers]") {
  const DaemonProcess daemon;
  REQUIRE(::kill(daemon.pid(), SIGSTOP) == 0);
  CHECK_THROWS_AS(daemon.connect(), TimeoutError);
  REQUIRE(::kill(daemon.pid(), SIGCONT) == 0);
  CHECK(daemon.connect().names().empty());
}
