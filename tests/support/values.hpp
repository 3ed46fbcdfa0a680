// What a tensor holds, compared whole.
#pragma once

#include <algorithm>
#include <vector>

#include <tensord/view.hpp>

namespace tensord::test {

template <class T>
[[nodiscard]] bool holds(const View& view, const std::vector<T>& values) {
  return std::ranges::equal(view.as<T>(), values);
}

}  // namespace tensord::test
