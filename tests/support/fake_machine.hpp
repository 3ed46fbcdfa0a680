// FakeMachine: what the kernel would show of a machine of 16 GiB, half of which is available, as files in a
// folder that goes with the object.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace tensord::test {

class FakeMachine {
 public:
  FakeMachine() {
    std::string pattern = std::filesystem::temp_directory_path() / "tensord-machine-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    root_ = pattern;
    has_available(std::uint64_t{8} << 30);
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;
  ~FakeMachine() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  void write(const std::string& file, std::uint64_t number) const { write(file, std::to_string(number)); }
  void has_available(std::uint64_t bytes, std::uint64_t free_swap_bytes = 0) const {
    write("proc/meminfo",
          "MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: " + std::to_string(bytes / 1024) +
              " kB\nSwapFree: " + std::to_string(free_swap_bytes / 1024) + " kB\n");
  }
  [[nodiscard]] std::string root() const { return root_; }

 private:
  std::filesystem::path root_;
};

}  // namespace tensord::test
