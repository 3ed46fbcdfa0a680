// JSON, for --json: one value a command, on standard output. Numbers are exact; keys stand in the order in
// which they were added.
#pragma once

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

namespace tensord::tools {

using Json = nlohmann::ordered_json;

// Two spaces an indent, and a newline at the end. What is no UTF-8, such as the command of a process, is
// shown as U+FFFD.
[[nodiscard]] inline std::string text_of(const Json& value) {
  return value.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

inline void print_json(const Json& value) { std::fputs(text_of(value).c_str(), stdout); }

}  // namespace tensord::tools
