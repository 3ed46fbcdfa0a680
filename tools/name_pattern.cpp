#include "name_pattern.hpp"

#include <fnmatch.h>

#include <cstddef>
#include <utility>

namespace tensord::tools {
namespace {

constexpr const char* kGlobCharacters = "*?[";
constexpr std::string_view kAnyParts = "**";

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t slash = text.find('/');
    parts.emplace_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

NamePattern::NamePattern(std::string text, bool is_glob) : text_(std::move(text)), is_glob_(is_glob) {
  if (is_glob_) parts_ = parts_of(text_);
}

NamePattern NamePattern::prefix_or_glob(std::string text) {
  const bool is_glob = text.find_first_of(kGlobCharacters) != std::string::npos;
  return {std::move(text), is_glob};
}

bool NamePattern::matches(std::string_view name) const {
  return is_glob_ ? match_parts(parts_of(name)) : name.starts_with(text_);
}

// A mismatch goes back to the last '**', which then takes one part more. An earlier one need not be tried
// again: whatever it would take, the last can take instead.
bool NamePattern::match_parts(const std::vector<std::string>& name) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t pattern = 0, at = 0, last_any = kNone, taken = 0;
  while (at < name.size()) {
    if (pattern < parts_.size() && parts_[pattern] == kAnyParts) {
      last_any = pattern++;
      taken = at;
    } else if (pattern < parts_.size() && ::fnmatch(parts_[pattern].c_str(), name[at].c_str(), 0) == 0) {
      ++pattern;
      ++at;
    } else if (last_any != kNone) {
      pattern = last_any + 1;
      at = ++taken;
    } else {
      return false;
    }
  }
  while (pattern < parts_.size() && parts_[pattern] == kAnyParts) ++pattern;
  return pattern == parts_.size();
}

std::string NamePattern::common_prefix() const {
  if (!is_glob_) return text_;
  std::string prefix = text_.substr(0, text_.find_first_of(std::string(kGlobCharacters) + '\\'));
  // The slash before a '**' may be none of the name's: 'a/**' is also 'a'.
  if (prefix.size() < text_.size() && text_.compare(prefix.size(), 2, kAnyParts) == 0 &&
      prefix.ends_with('/'))
    prefix.pop_back();
  return prefix;
}

}  // namespace tensord::tools
