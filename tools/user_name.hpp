// The name of a user of this machine.
#pragma once

#include <pwd.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tensord::tools {

// Nothing if the machine does not know the number, as in a container.
[[nodiscard]] inline std::optional<std::string> user_name(std::uint32_t uid) {
  const passwd* const account = ::getpwuid(uid);
  if (account == nullptr) return std::nullopt;
  return account->pw_name;
}

}  // namespace tensord::tools
