// Machine: what a check can see of the machine: files below a root, and a few things that only trying shows.
//
// A test gives a folder for the root and answers of its own for what is tried, so it can be any machine. What
// a process says of itself (its uid, its environment) is always this process's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensord::tools::doctor {

// The number that a text begins with, behind blanks; nothing if it begins with none.
[[nodiscard]] std::optional<std::int64_t> leading_number(std::string_view text);

class Machine {
 public:
  // This machine; another root than none is a test's.
  explicit Machine(std::string root = {});

  // Paths begin with "/", as people know them. Nothing: there is no such file, or it may not be read.
  [[nodiscard]] std::optional<std::string> text(const std::string& path) const;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& path) const;
  // The chosen word of "always within_size [advise] never".
  [[nodiscard]] std::optional<std::string> chosen(const std::string& path) const;
  // What follows "key" and blanks or a colon on its line, without blanks around it.
  [[nodiscard]] std::optional<std::string> field(const std::string& path, std::string_view key) const;
  // A field of /proc/meminfo.
  [[nodiscard]] std::optional<std::uint64_t> memory_bytes(std::string_view key) const;
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] bool is_folder(const std::string& path) const;
  [[nodiscard]] std::filesystem::path at(const std::string& path) const { return root_ + path; }
  [[nodiscard]] const std::string& root() const { return root_; }

  struct Limit {
    std::uint64_t soft = UINT64_MAX;  // UINT64_MAX: none
    std::uint64_t hard = UINT64_MAX;
  };
  // "Max open files" and its like, of a process ("self", or a pid).
  [[nodiscard]] std::optional<Limit> limit(const std::string& process, std::string_view name) const;

  // ---- what only trying shows ----
  std::function<bool()> grants_huge_pages;
  // Why the kernel makes no sealed shared memory for this process; empty: it does.
  std::function<std::string()> why_no_sealed_memory;
  // What a program writes to its output; nothing if it cannot be run, fails, or takes too long.
  std::function<std::optional<std::string>(const std::vector<std::string>& words)> output_of;
  // The daemon that connect() would start; empty: there is none.
  std::function<std::string()> daemon_program;
  std::string version;  // of this tensorctl

 private:
  std::string root_;
};

}  // namespace tensord::tools::doctor
