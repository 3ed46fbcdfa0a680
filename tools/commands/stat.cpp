#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <tensord/error.hpp>

#include "command.hpp"
#include "commands/commands.hpp"
#include "duration.hpp"
#include "holder_list.hpp"
#include "human.hpp"
#include "json.hpp"
#include "protocol/tensor_spec.hpp"
#include "shape_text.hpp"
#include "tensor_words.hpp"
#include "text.hpp"
#include "user_name.hpp"
#include "waiter_list.hpp"

namespace tensord::tools {
namespace {

// How whole a live tensor is, at this moment.
struct Wholeness {
  const char* state = "whole";  // or "being written", or "torn"
  std::string why;
};

struct Tensor {
  TensorInfo info;
  View view;
  std::vector<Holder> holders;  // before this program became one
  std::vector<Waiter> waiters;
  std::uint64_t version = 0;
  Wholeness wholeness;
};

Wholeness look_at(const View& view) {
  if (view.kind() != Kind::kLive) return {};
  try {
    constexpr auto kNoVersion = std::numeric_limits<std::uint64_t>::max();
    static_cast<void>(view.wait(kNoVersion, std::chrono::nanoseconds(0)));
    return {};
  } catch (const TornWriteError& error) {
    return {"torn", error.what()};
  } catch (const TimeoutError& error) {
    return {"being written", error.what()};
  }
}

Tensor look_up(const Store& store, const std::string& name) {
  Tensor tensor;
  tensor.holders = store.holders(name);
  tensor.view = store.attach(name);
  tensor.info = store.info(name);
  for (Waiter& waiter : store.waiters()) {
    if (waiter.name == name) tensor.waiters.push_back(std::move(waiter));
  }
  tensor.version = tensor.view.version();
  tensor.wholeness = look_at(tensor.view);
  return tensor;
}

Json describe(const Tensor& tensor) {
  const View& view = tensor.view;
  const Location location = view.location();
  Json json{{"name", view.name()},
            {"namespace", protocol::namespace_of(view.name())},
            {"dtype", dtype_name(view.dtype())},
            {"shape", view.shape()},
            {"strides", view.strides()},
            {"size_bytes", view.size_bytes()},
            {"kind", word_of(view.kind())},
            {"lifetime", word_of(tensor.info.lifetime)},
            {"owner_uid", tensor.info.owner_uid},
            {"created_unix_ns", tensor.info.created_unix_ns},
            {"generation", view.generation()},
            {"segment", location.segment},
            {"inode", location.inode},
            {"offset_bytes", location.offset_bytes}};
  if (view.kind() == Kind::kLive) {
    json["version"] = tensor.version;
    json["state"] = tensor.wholeness.state;
  }
  json["holders"] = json_of(tensor.holders);
  json["waiters"] = json_of(tensor.waiters);
  return json;
}

void print(const Tensor& tensor, const Terminal& terminal) {
  const View& view = tensor.view;
  const Location location = view.location();
  const auto line = [](const char* what, const std::string& value) {
    std::printf("%-10s %s\n", what, value.c_str());
  };
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  line("name", printable(view.name()));
  line("namespace", printable(protocol::namespace_of(view.name())));
  line("dtype", std::string(dtype_name(view.dtype())));
  line("shape", shape_text(view.shape()));
  line("strides", shape_text(view.strides()));
  line("size", human_bytes(view.size_bytes()) + " (" + number(view.size_bytes()) + " bytes)");
  line("kind",
       styled(word_of(view.kind()), view.kind() == Kind::kLive ? Style::kGood : Style::kPlain, terminal));
  if (view.kind() == Kind::kLive) {
    const Style style = tensor.wholeness.why.empty() ? Style::kPlain : Style::kBad;
    line("version", number(tensor.version) + ", " + styled(tensor.wholeness.state, style, terminal));
    if (!tensor.wholeness.why.empty()) line("", printable(tensor.wholeness.why));
  }
  line("lifetime", word_of(tensor.info.lifetime));
  line("owner", number(tensor.info.owner_uid) + " (" + user_name(tensor.info.owner_uid).value_or("?") + ")");
  line("made", time_since(tensor.info.created_unix_ns) + " ago");
  line("lies in", "segment " + number(location.segment) + ", inode " + number(location.inode) + ", at " +
                      number(location.offset_bytes));
  line("generation", number(view.generation()));
  line("holders", tensor.holders.empty() ? "nobody" : number(tensor.holders.size()));
  if (!tensor.holders.empty()) table_of(tensor.holders).print(terminal);
  line("waiters", tensor.waiters.empty() ? "nobody" : number(tensor.waiters.size()));
  if (!tensor.waiters.empty()) table_of(tensor.waiters).print(terminal);
}

int run(const Shared& shared, const std::vector<std::string>& names) {
  const Store store = connect(shared);
  const Terminal terminal = shared.terminal();
  Json list = Json::array();
  int code = kDone;
  bool first = true;
  for (const std::string& name : names) {
    try {
      const Tensor tensor = look_up(store, name);
      if (shared.json) {
        list.push_back(describe(tensor));
        continue;
      }
      if (!first) std::puts("");
      first = false;
      print(tensor, terminal);
    } catch (const ConnectionLostError&) {
      throw;  // no other one can be looked at either
    } catch (const Error& error) {
      code = kFailed;
      say(error);
    }
  }
  if (shared.json) print_json(list);
  return code;
}

}  // namespace

void add_stat(Commands& commands) {
  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App& command = commands.add("stat", "Say all that is known of tensors",
                                   [names](const Shared& shared) { return run(shared, *names); });
  command.add_option("NAME", *names, "The tensors")->type_name("")->required();
}

}  // namespace tensord::tools
