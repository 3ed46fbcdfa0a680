// Inherited: the descriptors that a daemon had kept for the one after it (ServiceManager::keep).
//
// By their names, which are short, because all of them go through one variable of the environment:
//   book, catalog   one each
//   s<id>           a segment
//   c<number>       a connection: its socket, its ledger, its bell
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "os/memfd.hpp"
#include "os/unique_fd.hpp"
#include "passed_fds.hpp"
#include "registry.hpp"
#include "service_manager.hpp"
#include "space.hpp"

namespace tensord::daemon {

inline const std::string kKeptBook = "book";
inline const std::string kKeptCatalog = "catalog";
[[nodiscard]] std::string kept_segment(SegmentId segment);
[[nodiscard]] std::string kept_client(ClientId client);

struct Inherited {
  struct Connection {
    os::UniqueFd socket;
    os::Memfd ledger;
    os::UniqueFd bell;
  };
  os::Memfd catalog;
  os::Memfd book;
  std::map<SegmentId, os::Memfd> segments;
  std::map<ClientId, Connection> clients;

  // What these are; the manager counts them. Nothing: there is no store among them. What is no use, such as
  // a connection of which a part is missing, is given up; the manager forgets it.
  [[nodiscard]] static std::optional<Inherited> from(std::vector<PassedFd> fds, ServiceManager& manager);
  // The manager forgets all of it.
  static void let_go(const Inherited& inherited, ServiceManager& manager);
};

}  // namespace tensord::daemon
