// How long from nothing to the first attached tensor?
//
// The floor is a server of a few lines with the same system calls on both sides and nothing else: connect,
// a message each way with the descriptors of a table and of a counter file made for this client, another for
// a segment; maps, and a first look at each.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>
#include <tensord/tensord.hpp>

#include "daemon_process.hpp"
#include "measure.hpp"
#include "os/memfd.hpp"
#include "os/socket.hpp"
#include "partner.hpp"
#include "shm/catalog.hpp"
#include "shm/ledger.hpp"

namespace {

using namespace tensord;
using bench::Role;
namespace bip = boost::interprocess;

constexpr std::uint32_t kTensors = 65'536;  // as a daemon has by default, so that the files are as large

os::Memfd sealed_file(std::size_t size_bytes) {
  os::Memfd file = os::Memfd::create("tensord-bench", size_bytes);
  file.seal_size();
  return file;
}

// Serves one client after the other, asleep in between, as a daemon is.
[[noreturn]] void serve(int listener) {
  const os::Memfd table = sealed_file(shm::catalog_size_bytes(kTensors));
  const os::Memfd segment = sealed_file(64 * bench::kMiB);
  segment.reserve(0, segment.size_bytes());
  const int events = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [events](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener);
  std::vector<std::byte> message(256);
  os::UniqueFd client;
  bool greeted = false;
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(events, &event, 1, -1) != 1) continue;
    if (event.data.fd == listener) {
      client = os::UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      watch(client.get());
      greeted = false;
      continue;
    }
    if (os::receive_message(client.get(), message, 0).size_bytes == 0) {
      client.reset();
    } else if (!greeted) {
      const os::Memfd counters = sealed_file(shm::ledger_size_bytes(kTensors));
      const os::UniqueFd table_fd = table.open_read_only();
      const std::array fds{table_fd.get(), counters.fd()};
      os::send_message(client.get(), message, fds);
      greeted = true;
    } else {
      const os::UniqueFd segment_fd = segment.open_read_only();
      const std::array fds{segment_fd.get()};
      os::send_message(client.get(), message, fds);
    }
  }
}

class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(os::connect_seqpacket(path)) {
    std::vector<os::UniqueFd> fds = ask(2);
    table_ = map(std::move(fds[0]), bip::read_only);
    counters_ = map(std::move(fds[1]), bip::read_write);
    std::atomic_ref(*static_cast<std::uint32_t*>(counters_.get_address())).fetch_add(1);
    fds = ask(1);
    segment_ = map(std::move(fds[0]), bip::read_only);
  }

 private:
  std::vector<os::UniqueFd> ask(std::size_t fds) {
    std::array<std::byte, 256> message{};
    os::send_message(socket_.get(), message);
    os::Received received = os::receive_message(socket_.get(), message, fds);
    if (received.fds.size() != fds) throw std::runtime_error("the floor's server does not answer");
    return std::move(received.fds);
  }
  static bip::mapped_region map(os::UniqueFd fd, bip::mode_t mode) {
    const os::Memfd file = os::Memfd::adopt_sealed(std::move(fd));
    bip::mapped_region region(file, mode);
    bench::keep(*static_cast<const volatile std::byte*>(region.get_address()));
    return region;
  }

  os::UniqueFd socket_;
  bip::mapped_region table_, counters_, segment_;
};

void measure_all() {
  const test::DaemonProcess daemon;
  const std::string path = daemon.socket() + ".floor";
  const os::UniqueFd listener = os::listen_seqpacket(path);
  const bench::Partner server([&] {
    serve(listener.get());
    return [](char) { return std::int64_t{0}; };
  });
  const Store owner = daemon.connect();
  const std::vector<float> elements(1024, 1.0f);
  owner.put("bench/first", std::span<const float>(elements));

  std::optional<Store> store;
  std::optional<View> view;
  std::optional<RawClient> raw;
  const auto settle = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  bench::compare("connect and attach", {}, 101,
                 {{"tensord: connect, attach", Role::kOurs, 1,
                   [&] {
                     store.emplace(daemon.connect());
                     view.emplace(store->attach("bench/first"));
                     bench::keep(*view->data());
                   },
                   [&] {
                     view.reset(), store.reset();
                     settle();
                   }},
                  {"the same system calls", Role::kFloor, 1, [&] { raw.emplace(path); },
                   [&] {
                     raw.reset();
                     settle();
                   }}});
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "connect", measure_all); }
