// The words for what a tensor is, as the docs and Python have them.
#pragma once

#include <tensord/store.hpp>

namespace tensord::tools {

[[nodiscard]] inline const char* word_of(Kind kind) { return kind == Kind::kLive ? "live" : "sealed"; }
[[nodiscard]] inline const char* word_of(Lifetime lifetime) {
  return lifetime == Lifetime::kClient ? "client" : "store";
}

}  // namespace tensord::tools
