// NamePattern: which tensors somebody means.
//
//   run1/         a prefix: every name that begins with it
//   run1/*        a glob, for it has one of * ? [ : '*' and '?' stay within one part of a name, between two
//                 slashes; a part that is '**' stands for any number of parts, none included
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tensord::tools {

class NamePattern {
 public:
  // A glob if it has one of its characters, else a prefix.
  [[nodiscard]] static NamePattern prefix_or_glob(std::string text);
  [[nodiscard]] static NamePattern glob(std::string text) { return NamePattern(std::move(text), true); }
  [[nodiscard]] static NamePattern prefix(std::string text) { return NamePattern(std::move(text), false); }

  [[nodiscard]] bool matches(std::string_view name) const;
  // With this begins every name that matches: the daemon need not send others.
  [[nodiscard]] std::string common_prefix() const;

 private:
  NamePattern(std::string text, bool is_glob);
  [[nodiscard]] bool match_parts(const std::vector<std::string>& name) const;

  std::string text_;
  bool is_glob_;
  std::vector<std::string> parts_;  // of a glob
};

}  // namespace tensord::tools
