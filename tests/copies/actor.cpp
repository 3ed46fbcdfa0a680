// One process that plays a side of docs/copies.md, in C++; actor.py is its twin. It reads a command a line
// and answers each with one line of JSON:
//
//   run ROLE NUMBER   the block of that example, and what was copied by it
//   look              what its weights are now, and where the tensor lies
//   fill VALUE        into all of its weights
//   drop              the view and the weights
#include <exception>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <tensord/tensord.hpp>

#include "held.hpp"

namespace {

std::string json(std::string_view text) {
  std::ostringstream out;
  out << '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out << '\\';
    out << (c == '\n' ? ' ' : c);
  }
  out << '"';
  return out.str();
}

template <class Numbers>
std::string json_list(const Numbers& numbers) {
  std::ostringstream out;
  out << std::setprecision(17) << '[';
  const char* comma = "";
  for (const auto number : numbers) {
    out << comma << number;
    comma = ", ";
  }
  out << ']';
  return out.str();
}

std::string json_error(std::string_view name, const std::exception& error) {
  return "{\"error\": " + json(name) + ", \"text\": " + json(error.what()) + "}";
}

class Actor {
 public:
  std::string answer(std::istream& command) {
    std::string word;
    command >> word;
    if (word == "run") return run(command);
    if (word == "look") return look();
    if (word == "fill") return fill(command);
    if (word != "drop") throw std::invalid_argument("no such command: " + word);
    held_.reset();
    return "{}";
  }

 private:
  std::string run(std::istream& command) {
    std::string role;
    int number = 0;
    command >> role >> number;
    for (const Block& block : kBlocks) {
      if (block.role != role || block.number != number) continue;
      const tensord::ClientStats before = store_.client_stats();
      held_ = block.run(store_);
      const tensord::ClientStats after = store_.client_stats();
      return "{\"in\": " + std::to_string(after.bytes_copied_in - before.bytes_copied_in) +
             ", \"out\": " + std::to_string(after.bytes_copied_out - before.bytes_copied_out) + "}";
    }
    throw std::invalid_argument("no such block");
  }

  [[nodiscard]] std::string look() const {
    const tensord::View& view = held_->view();
    const tensord::Location location = view.location();
    return "{\"values\": " + json_list(held_->values()) + ", \"dtype\": " + json(dtype_name(view.dtype())) +
           ", \"nbytes\": " + std::to_string(view.size_bytes()) + ", \"shape\": " + json_list(view.shape()) +
           ", \"strides\": " + json_list(view.strides()) + ", \"place\": [" + std::to_string(location.inode) +
           ", " + std::to_string(location.offset_bytes) + "]}";
  }

  std::string fill(std::istream& command) {
    double value = 0;
    command >> value;
    return held_->fill(value) ? R"({"done": true})" : R"({"done": false})";
  }

  const tensord::Store store_ = tensord::Store::connect();
  std::unique_ptr<Held> held_;
};

}  // namespace

int main() {
  Actor actor;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream command(line);
    std::string answer;
    try {
      answer = actor.answer(command);
    } catch (const tensord::WouldCopyError& error) {
      answer = json_error("WouldCopyError", error);
    } catch (const std::exception& error) {
      answer = json_error("another", error);
    }
    std::cout << answer << std::endl;
  }
}
