// The client inside the box (see `exchange`): what a user's program does, one verb at a time.
//   exchange put NAME MIB     puts a ramp of so many MiB, attaches and compares
//   exchange attach NAME      attaches and compares
//   exchange garbage          sends what no client sends, and waits to be disconnected
// Prints one line of facts. It never starts a daemon: that is systemd's part.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <tensord/tensord.hpp>

#include "os/socket.hpp"

namespace {

std::string uid_of(std::uint32_t uid) { return "uid " + std::to_string(uid); }

void attach(const tensord::Store& store, const std::string& name) {
  const tensord::View view = store.attach(name);
  std::uint32_t expected = 0;
  for (const std::uint32_t value : view.as<std::uint32_t>()) {
    if (value != expected++) throw std::runtime_error(name + " holds other values");
  }
  std::printf("%s sees %zu bytes in %s of %s at %s, daemon pid %u\n", uid_of(::geteuid()).c_str(),
              view.size_bytes(), name.c_str(), uid_of(store.info(name).owner_uid).c_str(),
              store.socket().c_str(), store.stats().daemon_pid);
}

void put(const tensord::Store& store, const std::string& name, std::size_t size_mib) {
  std::vector<std::uint32_t> ramp((size_mib << 20) / sizeof(std::uint32_t));
  std::iota(ramp.begin(), ramp.end(), 0u);
  store.put<std::uint32_t>(name, ramp);
  attach(store, name);
}

void garbage(const std::string& socket_path) {
  const tensord::os::UniqueFd socket = tensord::os::connect_seqpacket(socket_path);
  std::array<std::byte, 64> buffer{};
  tensord::os::send_message(socket.get(), buffer);
  const bool hung_up = tensord::os::receive_message(socket.get(), buffer, 0).size_bytes == 0;
  std::printf("%s is %s\n", uid_of(::geteuid()).c_str(), hung_up ? "disconnected" : "answered");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    const tensord::Store store = tensord::Store::connect({.start = false});
    if (words.size() == 3 && words[0] == "put") return put(store, words[1], std::stoul(words[2])), 0;
    if (words.size() == 2 && words[0] == "attach") return attach(store, words[1]), 0;
    if (words.size() == 1 && words[0] == "garbage") return garbage(store.socket()), 0;
    std::fputs("usage: exchange put NAME MIB | attach NAME | garbage\n", stderr);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exchange: %s\n", error.what());
    return 1;
  }
}
