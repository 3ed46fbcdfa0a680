// The embedded default: connect() starts a daemon where none runs.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::eventually;

namespace {

// A socket in a directory of its own; whoever serves it at the end is asked to stop.
class Place {
 public:
  Place() {
    std::string pattern = std::filesystem::temp_directory_path() / "tensord-start-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~Place() {
    try {
      Store::connect({socket(), false}).shutdown();
    } catch (const Error&) {
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  [[nodiscard]] std::string socket() const { return directory_ / "run" / "tensord.sock"; }

 private:
  std::filesystem::path directory_;
};

}  // namespace

TEST_CASE("connect starts a daemon for this user, and stop ends it", "[client][start]") {
  const Place place;
  CHECK_THROWS_AS(Store::connect({place.socket(), false}), ConnectionLostError);
  const Store store = Store::connect({place.socket(), true});
  const auto pid = static_cast<pid_t>(store.stats().daemon_pid);
  const View view = store.put<float>("a/x", std::vector<float>{1, 2, 3});
  CHECK(Store::connect({place.socket(), true}).stats().daemon_pid == store.stats().daemon_pid);
  store.shutdown();
  CHECK(eventually([&] { return ::kill(pid, 0) != 0; }));
  CHECK_FALSE(std::filesystem::exists(place.socket()));
  CHECK(view.as<float>()[2] == 3);
  CHECK_THROWS_AS(store.stats(), ConnectionLostError);
}

TEST_CASE("many that start at once get one daemon", "[client][start]") {
  const Place place;
  constexpr int kStarters = 8;
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  std::vector<pid_t> starters;
  for (int i = 0; i < kStarters; ++i) {
    starters.push_back(::fork());
    if (starters.back() == 0) {
      std::uint32_t pid = 0;
      try {
        pid = Store::connect({place.socket(), true}).stats().daemon_pid;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "in a child: %s\n", error.what());
      }
      (void)!::write(pipe_ends[1], &pid, sizeof pid);
      ::_exit(0);
    }
  }
  std::vector<std::uint32_t> pids(kStarters);
  for (std::uint32_t& pid : pids) REQUIRE(::read(pipe_ends[0], &pid, sizeof pid) == sizeof pid);
  for (const pid_t starter : starters) ::waitpid(starter, nullptr, 0);
  ::close(pipe_ends[0]), ::close(pipe_ends[1]);
  CHECK(pids[0] != 0);
  for (const std::uint32_t pid : pids) CHECK(pid == pids[0]);
}

TEST_CASE("a socket that a killed daemon left behind is replaced", "[client][start]") {
  const Place place;
  const auto first = Store::connect({place.socket(), true}).stats().daemon_pid;
  REQUIRE(::kill(static_cast<pid_t>(first), SIGKILL) == 0);
  CHECK(eventually([&] { return ::kill(static_cast<pid_t>(first), 0) != 0; }));
  CHECK(std::filesystem::exists(place.socket()));
  const Store store = Store::connect({place.socket(), true});
  CHECK(store.stats().daemon_pid != first);
  CHECK(store.names().empty());
}

TEST_CASE("a daemon that cannot be started is an error that says so", "[client][start]") {
  const Place place;
  const std::string real = std::getenv("TENSORD_DAEMON");
  ::setenv("TENSORD_DAEMON", "/nowhere/tensord", 1);
  CHECK_THROWS_WITH(Store::connect({place.socket(), true}),
                    contains_text("'/nowhere/tensord' cannot be started"));
  ::setenv("TENSORD_DAEMON", real.c_str(), 1);
}
