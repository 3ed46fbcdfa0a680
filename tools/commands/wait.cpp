#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "human.hpp"
#include "json.hpp"
#include "shape_text.hpp"
#include "tensor_words.hpp"
#include "text.hpp"

namespace tensord::tools {
namespace {

using std::chrono::nanoseconds;

constexpr double kLongestSeconds = 1e9;  // thirty years, and all nanoseconds of it fit

struct Options {
  std::string name;
  std::optional<double> timeout_s;
  std::optional<std::uint64_t> after;
  bool next = false;
};

nanoseconds timeout_of(const Options& options) {
  if (!options.timeout_s) return kForever;
  const double seconds = *options.timeout_s;
  if (!(seconds >= 0 && seconds <= kLongestSeconds))
    throw UsageError("wait: --timeout takes seconds, from 0 to 1e9; without it, wait has no end");
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
}

nanoseconds left_until(std::chrono::steady_clock::time_point deadline, nanoseconds timeout) {
  if (timeout == kForever) return kForever;
  return std::max(nanoseconds(0), nanoseconds(deadline - std::chrono::steady_clock::now()));
}

int run(const Shared& shared, const Options& options) {
  const nanoseconds timeout = timeout_of(options);
  const Store store = connect(shared);
  const auto deadline = timeout == kForever ? std::chrono::steady_clock::time_point::max()
                                            : std::chrono::steady_clock::now() + timeout;
  const View view = store.wait(options.name, timeout);
  std::uint64_t version = view.version();
  if (options.next || options.after)
    version = view.wait(options.after.value_or(version), left_until(deadline, timeout));
  if (shared.json) {
    print_json({{"name", view.name()},
                {"dtype", dtype_name(view.dtype())},
                {"shape", view.shape()},
                {"size_bytes", view.size_bytes()},
                {"kind", word_of(view.kind())},
                {"version", version}});
  } else {
    std::printf("%s: %s %s, %s", printable(view.name()).c_str(),
                std::string(dtype_name(view.dtype())).c_str(), shape_text(view.shape()).c_str(),
                human_bytes(view.size_bytes()).c_str());
    std::puts(view.kind() == Kind::kLive ? (", version " + std::to_string(version)).c_str() : "");
  }
  return kDone;
}

}  // namespace

void add_wait(Commands& commands) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = commands.add("wait", "Wait until a tensor is there, or a live one changes",
                                   [options](const Shared& shared) { return run(shared, *options); });
  command.add_option("NAME", options->name, "The tensor")->type_name("")->required();
  command.add_option("--timeout", options->timeout_s, "At most so many seconds, then exit code 4")
      ->type_name("SECONDS");
  CLI::Option* const after =
      command.add_option("--after", options->after, "Until the live tensor has another version than this")
          ->type_name("VERSION");
  command.add_flag("--next", options->next, "Until the live tensor has another version than now")
      ->excludes(after);
}

}  // namespace tensord::tools
