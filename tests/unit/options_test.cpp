#include "options.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace tensord::daemon;

namespace {

std::optional<Options> parse(std::vector<std::string> arguments, int* exit_code = nullptr) {
  arguments.insert(arguments.begin(), "tensord");
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  int ignored = 0;
  return parse_options(static_cast<int>(words.size()), words.data(), exit_code ? *exit_code : ignored);
}

// A variable of the environment for as long as the object is there.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("without options nobody has a limit of his own", "[options][quotas]") {
  const auto options = parse({});
  REQUIRE(options);
  CHECK(options->per_user == Quotas::kNoLimits);
}

TEST_CASE("quotas are read from flags, else from a file, else from the environment", "[options][quotas]") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("tensord-options-" + std::to_string(::getpid()));
  std::ofstream(file) << "max-bytes-per-user = 3GiB\nmax-connections-per-user = 33\n";
  const Variable tensors("TENSORD_MAX_TENSORS_PER_USER", "20");
  const Variable bytes("TENSORD_MAX_BYTES_PER_USER", "2GiB");
  const Variable connections("TENSORD_MAX_CONNECTIONS_PER_USER", "22");
  const auto options = parse({"--config", file.string(), "--max-connections-per-user", "11"});
  std::filesystem::remove(file);
  REQUIRE(options);
  CHECK(options->per_user.bytes == std::uint64_t{3} << 30);
  CHECK(options->per_user.tensors == 20);
  CHECK(options->per_user.connections == 11);
}

TEST_CASE("dying bytes are limited as bytes are, unless they have a limit of their own",
          "[options][quotas]") {
  CHECK(parse({"--max-bytes-per-user", "5MiB"})->per_user.dying_bytes == 5 << 20);
  const auto both = parse({"--max-bytes-per-user", "5MiB", "--max-dying-bytes-per-user", "0"});
  CHECK(both->per_user.bytes == 5 << 20);
  CHECK(both->per_user.dying_bytes == 0);
  const auto dying = parse({"--max-dying-bytes-per-user", "64"});
  CHECK(dying->per_user.bytes == Quotas::kNoLimit);
  CHECK(dying->per_user.dying_bytes == 64);
}

TEST_CASE("a quota that is no number, or nothing at all, is a usage error", "[options][quotas]") {
  CHECK_FALSE(parse({"--max-bytes-per-user", "much"}));
  CHECK_FALSE(parse({"--max-tensors-per-user", "0"}));
  CHECK_FALSE(parse({"--max-connections-per-user", "-1"}));
}

TEST_CASE("a configuration file with a misspelt option is refused, and so is a misspelt flag", "[options]") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("tensord-options-" + std::to_string(::getpid()));
  std::ofstream(file) << "max-bites = 3GiB\n";
  int exit_code = 0;
  CHECK_FALSE(parse({"--config", file.string()}, &exit_code));
  std::filesystem::remove(file);
  CHECK(exit_code == kUsageExitCode);
  CHECK_FALSE(parse({"--max-bites", "3GiB"}, &exit_code));
  CHECK(exit_code == kUsageExitCode);
}

TEST_CASE("TENSORD_CONFIG names a configuration file, which must be there", "[options]") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("tensord-options-" + std::to_string(::getpid()));
  const std::string name = file.string();
  const Variable config("TENSORD_CONFIG", name.c_str());
  CHECK_FALSE(parse({}));
  std::ofstream(file) << "max-tensors = 77\n";
  const auto options = parse({});
  const auto with_flag = parse({"--max-tensors", "78"});
  std::filesystem::remove(file);
  REQUIRE(options);
  CHECK(options->max_tensors == 77);
  REQUIRE(with_flag);
  CHECK(with_flag->max_tensors == 78);
}
