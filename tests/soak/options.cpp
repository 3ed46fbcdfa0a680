#include "options.hpp"

#include <random>

#include <CLI/CLI.hpp>

namespace tensord::soak {

std::optional<Options> parse_options(int argc, char** argv, int& exit_code) {
  Options options;
  std::optional<std::uint64_t> seed;
  double minutes = 1;
  CLI::App app{"Everything at once, and everybody killed, against a model of what must be true."};
  app.add_option("--minutes", minutes, "How long")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seed", seed,
                 "What is drawn follows from it; default: another one each time, which is printed");
  app.add_option("--kills", options.kills_per_second, "Workers killed per second, about")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  app.add_option("--daemon-kills", options.daemon_kills_per_minute, "The same of the daemon, per minute")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  app.add_option("--python", options.python, "A Python with a tensord of the same build, for workers in it");
  app.add_option("--python-worker", options.python_worker, "Their program: worker.py, beside the sources");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return std::nullopt;
  }
  options.seconds = minutes * 60;
  options.seed = seed ? *seed : std::random_device{}();
  return options;
}

}  // namespace tensord::soak
