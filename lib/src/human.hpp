// Sizes as people read and write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tensord {

// "64 MiB", "1.5 GiB", "100 bytes".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

// The other way round: "64MiB", "64 M", "1.5G", "4096". Nothing if it is no size.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace tensord
