#include "near_names.hpp"

#include <algorithm>
#include <numeric>

namespace tensord::daemon {
namespace {

constexpr std::size_t kOffered = 3;          // names in an error text
constexpr std::size_t kMaxWork = 2'000'000;  // table cells filled for one question: about 2 ms

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > limit) return limit + 1;
  std::vector<std::size_t> row(a.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < b.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < a.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[j] == b[i] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({exchanged, row[j] + 1, row[j + 1] + 1});
    }
  }
  return std::min(row.back(), limit + 1);
}

bool NearNames::look_at(std::string_view name) {
  const std::size_t limit = std::max<std::size_t>(1, wanted_.size() / 4);
  const bool similar_size =
      std::max(name.size(), wanted_.size()) - std::min(name.size(), wanted_.size()) <= limit;
  work_ += similar_size ? name.size() * wanted_.size() + 16 : 16;
  if (similar_size) {
    if (const std::size_t edits = edit_distance(wanted_, name, limit); edits <= limit) {
      const std::pair entry(edits, name);
      near_.insert(std::upper_bound(near_.begin(), near_.end(), entry), entry);
      if (near_.size() > kOffered) near_.pop_back();
    }
  }
  return work_ < kMaxWork;
}

std::vector<std::string_view> NearNames::best() const {
  std::vector<std::string_view> names;
  names.reserve(near_.size());
  for (const auto& [edits, name] : near_) names.push_back(name);
  return names;
}

}  // namespace tensord::daemon
