#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"
#include "tensor_list.hpp"
#include "text.hpp"

namespace tensord::tools {
namespace {

struct Options {
  std::vector<std::string> patterns;
  SortBy sort = SortBy::kName;
  bool reverse = false, all_columns = false, names_only = false;
};

// In a pipe names are as they are, for the next program; a terminal gets nothing that moves its cursor.
void print_names(const std::vector<ListedTensor>& tensors, bool to_terminal) {
  for (const ListedTensor& tensor : tensors) {
    std::puts((to_terminal ? printable(tensor.info.name) : tensor.info.name).c_str());
  }
}

void print_total(const std::vector<ListedTensor>& tensors, const Terminal& terminal) {
  std::uint64_t bytes = 0;
  for (const ListedTensor& tensor : tensors) bytes += tensor.info.size_bytes;
  const std::string count =
      std::to_string(tensors.size()) + (tensors.size() == 1 ? " tensor, " : " tensors, ");
  std::puts(styled(count + human_bytes(bytes), Style::kQuiet, terminal).c_str());
}

int run(const Shared& shared, const Options& options) {
  const Store store = connect(shared);
  std::vector<NamePattern> patterns;
  patterns.reserve(options.patterns.size());
  for (const std::string& text : options.patterns) patterns.push_back(NamePattern::prefix_or_glob(text));
  auto tensors = find_tensors(store, patterns);
  sort(tensors, options.sort);
  if (options.reverse) std::ranges::reverse(tensors);
  const Terminal terminal = shared.terminal();
  if (shared.json) {
    print_json(json_of(tensors));
  } else if (options.names_only) {
    print_names(tensors, terminal.is_terminal);
  } else {
    if (!tensors.empty() || !terminal.is_terminal) table_of(tensors, options.all_columns).print(terminal);
    if (terminal.is_terminal) print_total(tensors, terminal);
  }
  return kDone;
}

}  // namespace

void add_ls(Commands& commands) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      commands.add("ls", "List tensors", [options](const Shared& shared) { return run(shared, *options); });
  command
      .add_option("PATTERN", options->patterns,
                  "Prefixes, or globs in quotes: * and ? within a part of a name, ** for any parts")
      ->type_name("");
  static const std::map<std::string, SortBy> kOrders{
      {"name", SortBy::kName}, {"size", SortBy::kSize}, {"age", SortBy::kAge}, {"holders", SortBy::kHolders}};
  command.add_option("--sort", options->sort, "name, size, age or holders; most first")
      ->type_name("BY")
      ->transform(CLI::CheckedTransformer(kOrders).description(""));
  command.add_flag("-r,--reverse", options->reverse, "The other way round");
  command.add_flag("-l,--long", options->all_columns, "With lifetime and time of creation");
  command.add_flag("-1,--names", options->names_only, "Names only, one a line: for scripts");
}

}  // namespace tensord::tools
