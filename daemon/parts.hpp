// Parts: text that is a list, "a:b:c", taken apart in place.
#pragma once

#include <algorithm>
#include <string_view>

namespace tensord::daemon {

// Takes the first part off, with its separator, and returns it. Of an empty text it is empty.
inline std::string_view take_part(std::string_view& rest, char separator) {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

}  // namespace tensord::daemon
