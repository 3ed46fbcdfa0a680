#include "tensor_list.hpp"

#include <algorithm>
#include <ctime>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <tensord/error.hpp>

#include "duration.hpp"
#include "human.hpp"
#include "shape_text.hpp"
#include "tensor_words.hpp"
#include "user_name.hpp"

namespace tensord::tools {
namespace {

using Holds = Column::Holds;

// "2026-11-28 14:31:02", in local time.
std::string moment(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm local{};
  char text[32] = "?";
  if (::localtime_r(&seconds, &local) != nullptr)
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

}  // namespace

std::vector<std::string> find_names(const Store& store, const std::vector<NamePattern>& patterns) {
  if (patterns.empty()) return store.names();
  std::set<std::string> names;
  for (const NamePattern& pattern : patterns) {
    for (std::string& name : store.names(pattern.common_prefix())) {
      if (pattern.matches(name)) names.insert(std::move(name));
    }
  }
  return {names.begin(), names.end()};
}

std::vector<ListedTensor> find_tensors(const Store& store, const std::vector<NamePattern>& patterns) {
  const std::vector<std::string> names = find_names(store, patterns);
  std::map<std::string, std::uint32_t, std::less<>> holders;
  if (!names.empty()) {
    const std::string prefix = patterns.size() == 1 ? patterns.front().common_prefix() : std::string();
    for (const Holder& holder : store.holders_of_all(prefix)) {
      if (holder.state == HolderState::kAttached) ++holders[holder.name];
    }
  }
  std::vector<ListedTensor> tensors;
  for (const std::string& name : names) {
    try {
      const auto held = holders.find(name);
      tensors.push_back({store.info(name), held == holders.end() ? 0 : held->second});
    } catch (const NotFoundError&) {
      continue;
    }
  }
  return tensors;
}

void sort(std::vector<ListedTensor>& tensors, SortBy by) {
  // They come by name, so a stable sort leaves equal ones that way.
  switch (by) {
    case SortBy::kName: return;
    case SortBy::kSize:
      std::ranges::stable_sort(tensors, std::greater(), [](const auto& one) { return one.info.size_bytes; });
      return;
    case SortBy::kAge:
      std::ranges::stable_sort(tensors, std::less(),
                               [](const auto& one) { return one.info.created_unix_ns; });
      return;
    case SortBy::kHolders:
      std::ranges::stable_sort(tensors, std::greater(), [](const auto& one) { return one.holders; });
      return;
  }
}

Table table_of(const std::vector<ListedTensor>& tensors, bool all_columns) {
  std::vector<Column> columns{{"NAME"},
                              {"DTYPE", Holds::kWord},
                              {"SHAPE"},
                              {"SIZE", Holds::kNumber},
                              {"KIND", Holds::kWord},
                              {"AGE", Holds::kNumber},
                              {"HOLDERS", Holds::kNumber},
                              {"OWNER"}};
  if (all_columns) columns.insert(columns.end(), {{"LIFETIME", Holds::kWord}, {"CREATED", Holds::kWord}});
  Table table(std::move(columns));
  for (const auto& [info, holders] : tensors) {
    std::vector<Cell> row{info.name,
                          std::string(dtype_name(info.dtype)),
                          shape_text(info.shape),
                          human_bytes(info.size_bytes),
                          Cell(word_of(info.kind), info.kind == Kind::kLive ? Style::kGood : Style::kPlain),
                          time_since(info.created_unix_ns),
                          std::to_string(holders),
                          user_name(info.owner_uid).value_or(std::to_string(info.owner_uid))};
    if (all_columns)
      row.insert(row.end(), {Cell(word_of(info.lifetime)), Cell(moment(info.created_unix_ns))});
    table.add(std::move(row));
  }
  return table;
}

Json json_of(const std::vector<ListedTensor>& tensors) {
  Json list = Json::array();
  for (const auto& [info, holders] : tensors) {
    list.push_back({{"name", info.name},
                    {"dtype", dtype_name(info.dtype)},
                    {"shape", info.shape},
                    {"size_bytes", info.size_bytes},
                    {"kind", word_of(info.kind)},
                    {"lifetime", word_of(info.lifetime)},
                    {"owner_uid", info.owner_uid},
                    {"created_unix_ns", info.created_unix_ns},
                    {"holders", holders}});
  }
  return list;
}

}  // namespace tensord::tools
