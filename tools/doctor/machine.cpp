#include "machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include <tensord/version.hpp>

#include "os/memfd.hpp"
#include "os/pages.hpp"
#include "program.hpp"

namespace tensord::tools::doctor {
namespace {

constexpr std::string_view kBlanks = " \t\n";

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) - first + 1));
}

// All that a segment needs of the kernel, on one page.
std::string try_sealed_memory() {
  try {
    const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const os::Memfd memfd = os::Memfd::create("tensord-doctor", page_bytes);
    memfd.reserve(0, page_bytes);
    memfd.seal_size();
    static_cast<void>(memfd.open_read_only());
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string find_daemon_program() {
  const char* const named = std::getenv("TENSORD_DAEMON");
  if (named != nullptr && *named != '\0') return find_program(named);
  std::error_code error;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "tensord";
  if (!error && ::access(beside.c_str(), X_OK) == 0) return beside;
  return find_program("tensord");
}

std::uint64_t bound_of(const std::string& word) {
  return word == "unlimited" ? UINT64_MAX : std::strtoull(word.c_str(), nullptr, 10);
}

}  // namespace

std::optional<std::int64_t> leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt;
}

Machine::Machine(std::string root)
    : grants_huge_pages(os::grants_huge_pages),
      why_no_sealed_memory(try_sealed_memory),
      output_of([](const std::vector<std::string>& words) { return run_program(words); }),
      daemon_program(find_daemon_program),
      version(kVersion),
      root_(std::move(root)) {}

std::optional<std::string> Machine::text(const std::string& path) const {
  std::ifstream file(root_ + path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::optional<std::uint64_t> Machine::number(const std::string& path) const {
  std::ifstream file(root_ + path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

std::optional<std::string> Machine::chosen(const std::string& path) const {
  std::ifstream file(root_ + path);
  for (std::string word; file >> word;) {
    if (word.size() > 2 && word.front() == '[') return word.substr(1, word.size() - 2);
  }
  return std::nullopt;
}

std::optional<std::string> Machine::field(const std::string& path, std::string_view key) const {
  std::ifstream file(root_ + path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key) || line.size() == key.size()) continue;
    const std::size_t after = line.find_first_not_of(": \t", key.size());
    if (after == key.size()) continue;  // a longer key that begins with this one
    return after == std::string::npos ? std::string() : trimmed(line.substr(after));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Machine::memory_bytes(std::string_view key) const {
  const auto found = field("/proc/meminfo", key);
  if (!found) return std::nullopt;
  return std::strtoull(found->c_str(), nullptr, 10) * 1024;
}

bool Machine::exists(const std::string& path) const {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(at(path), error));
}

bool Machine::is_folder(const std::string& path) const {
  std::error_code error;
  return std::filesystem::is_directory(at(path), error);
}

std::optional<Machine::Limit> Machine::limit(const std::string& process, std::string_view name) const {
  const auto found = field("/proc/" + process + "/limits", name);
  if (!found) return std::nullopt;
  std::istringstream words(*found);
  std::string soft, hard;
  words >> soft >> hard;
  return Limit{bound_of(soft), bound_of(hard)};
}

}  // namespace tensord::tools::doctor
