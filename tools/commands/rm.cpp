// What is removed is removed by name, one after the other: a failure stops none of the others.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <CLI/App.hpp>
#include <tensord/error.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"
#include "tensor_list.hpp"
#include "text.hpp"

namespace tensord::tools {
namespace {

struct Options {
  std::vector<std::string> names;
  std::string prefix;
  bool glob = false, force = false, dry_run = false;
};

struct Removed {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::uint64_t views = 0;  // for which the bytes wait
};

// Views of the tensor that had the name until now; others that had it before are not meant.
std::uint64_t views_left(const Store& store, const TensorInfo& removed) {
  std::uint64_t views = 0;
  try {
    for (const Holder& holder : store.holders(removed.name)) {
      const bool meant =
          holder.state == HolderState::kDying && holder.created_unix_ns == removed.created_unix_ns;
      if (meant) views += holder.views;
    }
  } catch (const NotFoundError&) {  // nobody holds it: it is gone already
  }
  return views;
}

std::vector<std::string> chosen_names(const Store& store, const Options& options) {
  std::vector<NamePattern> patterns;
  if (!options.prefix.empty()) patterns.push_back(NamePattern::prefix(options.prefix));
  std::vector<std::string> names;
  if (options.glob) {
    for (const std::string& name : options.names) patterns.push_back(NamePattern::glob(name));
  } else {
    names = options.names;
  }
  if (!patterns.empty()) {
    const std::vector<std::string> found = find_names(store, patterns);
    if (found.empty() && names.empty() && !options.force)
      throw NotFoundError("no tensor's name matches: see `tensorctl ls`");
    const std::unordered_set<std::string> named(names.begin(), names.end());
    std::ranges::copy_if(found, std::back_inserter(names),
                         [&](const std::string& name) { return !named.contains(name); });
  }
  return names;
}

std::string describe(const Removed& removed, bool dry_run) {
  std::string text = dry_run ? "would remove " : "removed ";
  text += printable(removed.name) + " (" + human_bytes(removed.size_bytes);
  if (removed.views > 0) {
    text += removed.views == 1 ? ", which wait for one view"
                               : ", which wait for " + std::to_string(removed.views) + " views";
  }
  return text + ")";
}

void print_total(const std::vector<Removed>& all) {
  std::uint64_t bytes = 0, waiting = 0;
  for (const Removed& removed : all) {
    bytes += removed.size_bytes;
    if (removed.views > 0) waiting += removed.size_bytes;
  }
  std::printf("%zu tensors with %s; %s of it wait for their holders\n", all.size(),
              human_bytes(bytes).c_str(), human_bytes(waiting).c_str());
}

int run(const Shared& shared, const Options& options) {
  if (options.names.empty() && options.prefix.empty())
    throw UsageError("rm: name the tensors to remove, or give --prefix; all of them are `rm --glob '**'`");
  if (options.glob && options.names.empty()) throw UsageError("rm: --glob needs a pattern");
  const Store store = connect(shared);
  std::vector<Removed> all;
  Json failures = Json::array();
  for (const std::string& name : chosen_names(store, options)) {
    try {
      const TensorInfo info = store.info(name);
      Removed removed{name, info.size_bytes, 0};
      if (!options.dry_run) {
        store.remove(name);
        removed.views = views_left(store, info);
      }
      if (!shared.json) std::puts(describe(removed, options.dry_run).c_str());
      all.push_back(std::move(removed));
    } catch (const ConnectionLostError&) {
      throw;  // no other one can be removed either
    } catch (const Error& error) {
      if (options.force && error.code() == Errc::kNotFound) continue;
      failures.push_back({{"name", name}, {"error", error.what()}});
      say(error);
    }
  }
  if (shared.json) {
    Json list = Json::array();
    for (const Removed& removed : all)
      list.push_back({{"name", removed.name}, {"size_bytes", removed.size_bytes}, {"views", removed.views}});
    print_json({{"removed", list}, {"failed", failures}, {"dry_run", options.dry_run}});
  } else if (all.size() > 1) {
    print_total(all);
  }
  return failures.empty() ? kDone : kFailed;
}

}  // namespace

void add_rm(Commands& commands) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = commands.add("rm", "Remove tensors; who has one attached keeps its bytes",
                                   [options](const Shared& shared) { return run(shared, *options); });
  command.add_option("NAME", options->names, "The tensors; with --glob patterns, as ls has them")
      ->type_name("");
  command.add_option("--prefix", options->prefix, "All whose names begin with this")->type_name("PREFIX");
  command.add_flag("--glob", options->glob,
                   "Take each NAME for a pattern; without, * and ? are letters of a name");
  command.add_flag("-f,--force", options->force, "One that is not there is no failure");
  command.add_flag("-n,--dry-run", options->dry_run, "Say what would be removed, and remove nothing");
}

}  // namespace tensord::tools
