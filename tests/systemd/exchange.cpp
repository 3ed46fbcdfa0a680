// The client inside the box (see `exchange`): what a user's program does, one verb at a time.
//   exchange put NAME MIB     puts a ramp of so many MiB, attaches and compares
//   exchange attach NAME      attaches and compares
//   exchange garbage          sends what no client sends, and waits to be disconnected
//   exchange stay             keeps its connection and its views, and obeys the lines that it reads:
//       put NAME MIB, attach NAME, delete NAME
//       check                 compares all that it holds
//   exchange work             puts, attaches and deletes until its standard input ends
// Prints one line of facts, `stay` one for each that it read. It never starts a daemon: that is systemd's
// part.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <tensord/tensord.hpp>

#include "os/socket.hpp"

namespace {

std::string uid_of(std::uint32_t uid) { return "uid " + std::to_string(uid); }

void compare(const tensord::View& view, const std::string& name) {
  std::uint32_t expected = 0;
  for (const std::uint32_t value : view.as<std::uint32_t>()) {
    if (value != expected++) throw std::runtime_error(name + " holds other values");
  }
}

tensord::View attach(const tensord::Store& store, const std::string& name) {
  tensord::View view = store.attach(name);
  compare(view, name);
  std::printf("%s sees %zu bytes in %s of %s at %s, daemon pid %u\n", uid_of(::geteuid()).c_str(),
              view.size_bytes(), name.c_str(), uid_of(store.info(name).owner_uid).c_str(),
              store.socket().c_str(), store.stats().daemon_pid);
  return view;
}

std::vector<std::uint32_t> ramp_of(std::size_t size_bytes) {
  std::vector<std::uint32_t> ramp(size_bytes / sizeof(std::uint32_t));
  std::iota(ramp.begin(), ramp.end(), 0u);
  return ramp;
}

tensord::View put(const tensord::Store& store, const std::string& name, std::size_t size_mib) {
  store.put<std::uint32_t>(name, ramp_of(size_mib << 20));
  return attach(store, name);
}

void garbage(const std::string& socket_path) {
  const tensord::os::UniqueFd socket = tensord::os::connect_seqpacket(socket_path);
  std::array<std::byte, 64> buffer{};
  tensord::os::send_message(socket.get(), buffer);
  const bool hung_up = tensord::os::receive_message(socket.get(), buffer, 0).size_bytes == 0;
  std::printf("%s is %s\n", uid_of(::geteuid()).c_str(), hung_up ? "disconnected" : "answered");
}

void obey(const tensord::Store& store, const std::string& line, std::map<std::string, tensord::View>& held) {
  std::istringstream words(line);
  std::string verb, name;
  std::size_t size_mib = 0;
  words >> verb >> name >> size_mib;
  if (verb == "put") {
    held.insert_or_assign(name, put(store, name, size_mib));
  } else if (verb == "attach") {
    held.insert_or_assign(name, attach(store, name));
  } else if (verb == "delete") {
    store.remove(name);
    held.erase(name);
    std::printf("%s is deleted\n", name.c_str());
  } else if (verb == "check") {
    for (const auto& [of, view] : held) compare(view, of);
    std::printf("%zu views hold what they held\n", held.size());
  } else {
    throw std::runtime_error("no such command: " + line);
  }
}

void stay(const tensord::Store& store) {
  std::map<std::string, tensord::View> held;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      obey(store, line, held);
    } catch (const tensord::ConnectionLostError& error) {
      std::printf("ConnectionLostError: %s\n", error.what());
    } catch (const std::exception& error) {
      std::printf("error: %s\n", error.what());
    }
    std::fflush(stdout);
  }
}

void work(const tensord::Store& store) {
  const std::string prefix = "work-" + std::to_string(::geteuid()) + "/";
  const std::vector<std::uint32_t> ramp = ramp_of(64 << 10);
  std::size_t rounds = 0;
  pollfd input{STDIN_FILENO, POLLIN, 0};
  for (; ::poll(&input, 1, 0) == 0; ++rounds) {
    const std::string name = prefix + std::to_string(rounds);
    const tensord::View mine = store.put<std::uint32_t>(name, ramp);
    compare(store.attach(name), name);
    store.remove(name);
    compare(mine, name);
  }
  std::printf("%zu rounds of put, attach and delete\n", rounds);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 1 && words[0] == "garbage") return garbage(tensord::running_socket_path()), 0;
    const tensord::Store store = tensord::Store::connect({.start = false});
    if (words.size() == 3 && words[0] == "put") return put(store, words[1], std::stoul(words[2])), 0;
    if (words.size() == 2 && words[0] == "attach") return attach(store, words[1]), 0;
    if (words.size() == 1 && words[0] == "stay") return stay(store), 0;
    if (words.size() == 1 && words[0] == "work") return work(store), 0;
    std::fputs("usage: exchange put NAME MIB | attach NAME | garbage | stay | work\n", stderr);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exchange: %s\n", error.what());
    return 1;
  }
}
