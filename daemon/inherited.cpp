#include "inherited.hpp"

#include <sys/stat.h>

#include <charconv>
#include <system_error>
#include <utility>

#include "log.hpp"
#include "os/bell.hpp"

namespace tensord::daemon {
namespace {

std::string name_of(char kind, std::uint64_t number) {
  char text[20] = {kind};
  const auto end = std::to_chars(text + 1, text + sizeof text, number, 16).ptr;
  return {text, end};
}

// The number in such a name; nothing if it is none of that kind.
std::optional<std::uint64_t> number_in(char kind, std::string_view name) {
  std::uint64_t number = 0;
  if (name.size() < 2 || name.front() != kind) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number, 16);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

// A connection's three come under one name, in any order.
void enter(Inherited::Connection& connection, os::UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return;
  if (S_ISSOCK(status.st_mode)) {
    connection.socket = std::move(fd);
  } else if (S_ISREG(status.st_mode)) {
    connection.ledger = os::Memfd::adopt_sealed(std::move(fd));
  } else {
    connection.bell = os::adopt_bell(std::move(fd));
  }
}

}  // namespace

std::string kept_segment(SegmentId segment) { return name_of('s', segment); }
std::string kept_client(ClientId client) { return name_of('c', client); }

std::optional<Inherited> Inherited::from(std::vector<PassedFd> fds, ServiceManager& manager) {
  Inherited inherited;
  for (auto& [name, fd] : fds) {
    manager.keeps_already(name);
    try {
      if (name == kKeptBook) {
        inherited.book = os::Memfd::adopt_sealed(std::move(fd));
      } else if (name == kKeptCatalog) {
        inherited.catalog = os::Memfd::adopt_sealed(std::move(fd));
      } else if (const auto segment = number_in('s', name)) {
        inherited.segments.emplace(*segment, os::Memfd::adopt_sealed(std::move(fd)));
      } else if (const auto client = number_in('c', name)) {
        enter(inherited.clients[static_cast<ClientId>(*client)], std::move(fd));
      } else {
        log::warning("the service manager passes a descriptor named '" + name +
                     "', which is none of tensord's");
      }
    } catch (const std::system_error& error) {
      log::error("the service manager passes something else under the name '" + name + "': " + error.what());
    }
  }
  std::erase_if(inherited.clients, [&](const auto& entry) {
    const auto& [client, connection] = entry;
    const bool is_whole = connection.socket && connection.ledger && connection.bell;
    if (!is_whole) manager.let_go(kept_client(client));
    return !is_whole;
  });
  if (inherited.book && inherited.catalog) return inherited;
  if (!fds.empty()) let_go(inherited, manager);
  return std::nullopt;
}

void Inherited::let_go(const Inherited& inherited, ServiceManager& manager) {
  for (const auto& [segment, memfd] : inherited.segments) manager.let_go(kept_segment(segment));
  for (const auto& [client, connection] : inherited.clients) manager.let_go(kept_client(client));
  if (inherited.book) manager.let_go(kKeptBook);
  if (inherited.catalog) manager.let_go(kKeptCatalog);
}

}  // namespace tensord::daemon
