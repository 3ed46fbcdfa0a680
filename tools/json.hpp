// JsonObject: one flat JSON object, for --json output. Writing only; nothing here reads JSON.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace tensord::tools {

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view value) { return add_raw(key, quote(value)); }
  JsonObject& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  JsonObject& add(std::string_view key, bool value) { return add_raw(key, value ? "true" : "false"); }
  JsonObject& add(std::string_view key, std::integral auto value) {
    return add_raw(key, std::to_string(value));
  }

  [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }

 private:
  JsonObject& add_raw(std::string_view key, std::string_view value) {
    if (!members_.empty()) members_ += ", ";
    members_.append(quote(key)).append(": ").append(value);
    return *this;
  }
  static std::string quote(std::string_view text) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string quoted = "\"";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        quoted += {'\\', c};
      } else if (byte < 0x20) {
        quoted += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
      } else {
        quoted += c;
      }
    }
    return quoted + "\"";
  }

  std::string members_;
};

}  // namespace tensord::tools
