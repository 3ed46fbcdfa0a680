// Lists that the daemon gives a page at a time: holders, users, waiters. A reply says how many entries it
// has, whether more follow, and then where the next page begins; the request says that back.
#pragma once

#include <cstdint>
#include <string>

#include "client/broken_daemon.hpp"
#include "client/connection.hpp"

namespace tensord::client {

// Calls take(entry, reply) for each entry of each page. `place_in(request)` is where the page begins,
// `next_of(reply)` where the next one does: values that can be assigned and compared, ascending. `what` is
// what the list is of, for messages. Throws InternalError for pages that say more than they hold, or do not
// go on: else they need never end.
template <class Reply, class Request, class PlaceIn, class NextOf, class Take>
void visit_pages(Connection& connection, Request request, const std::string& what, PlaceIn&& place_in,
                 NextOf&& next_of, Take&& take) {
  for (;;) {
    const auto page = connection.call<Reply>(request);
    if (page.count > page.entries.size()) throw_broken_daemon("the daemon sent a broken page of " + what);
    for (std::uint32_t i = 0; i < page.count; ++i) take(page.entries[i], page);
    if (page.more == 0) return;
    if (next_of(page) <= place_in(request)) {
      throw_broken_daemon("the daemon sent pages of " + what + " that do not go on");
    }
    place_in(request) = next_of(page);
  }
}

}  // namespace tensord::client
