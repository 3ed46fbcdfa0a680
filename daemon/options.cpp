#include "options.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string_view>

#include <CLI/CLI.hpp>
#include <tensord/store.hpp>
#include <tensord/version.hpp>

#include "book.hpp"
#include "human.hpp"
#include "shm/catalog.hpp"
#include "system_memory.hpp"

namespace tensord::daemon {
namespace {

std::string check_size(std::string& text) {
  const auto bytes = parse_bytes(text);
  if (!bytes) return "'" + text + "' is no size: write it like 512MiB or 4G";
  text = std::to_string(*bytes);
  return {};
}

std::string check_mode(std::string& text) {
  unsigned mode = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '7') return "'" + text + "' is no octal mode: write it like 0640";
    mode = mode * 8 + static_cast<unsigned>(digit - '0');
    if (mode > 0666)
      return "the mode " + text + " has bits other than read (4) and write (2) for owner, group, others";
  }
  if ((mode & 0111) != 0) return "the mode " + text + " has an execute bit, which means nothing here";
  text = std::to_string(mode);
  return {};
}

// CLI11 names the line of a configuration file, but neither the file nor what could stand there.
std::string complaint_of(const CLI::ConfigError& error, const std::string& file) {
  constexpr std::string_view kBefore = "INI was not able to parse ";
  std::string_view what = error.what();
  if (what.starts_with(kBefore)) what.remove_prefix(kBefore.size());
  return "the configuration file " + file + " has '" + std::string(what) +
         "', which is no option of it: a line is one of the options that `tensord --help` lists, without its "
         "dashes, = and a value";
}

}  // namespace

std::uint64_t default_max_bytes() {
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(pages * page_bytes, SystemMemory().limit_bytes()) / 2;
}

std::optional<Options> parse_options(int argc, char** argv, int& exit_code) {
  Options options;
  options.socket = user_socket_path();
  CLI::App app{"tensord keeps named tensors in shared memory, for the processes of this machine."};
  app.set_version_flag("--version", "tensord " + std::string(kVersion));
  // CLI11 reads its environment too late for a configuration file: to it, that is the default.
  const char* const named = std::getenv("TENSORD_CONFIG");
  const std::string usual_config = named == nullptr ? "" : named;
  CLI::Option* const config =
      app.set_config("--config", usual_config, "Read options from this file (name = value lines)",
                     /*config_required=*/!usual_config.empty())
          ->envname("TENSORD_CONFIG");
  // A misspelt limit is no limit.
  app.allow_config_extras(CLI::config_extras_mode::error);

  std::string max_bytes = std::to_string(default_max_bytes());
  std::string keep_warm = std::to_string(kDefaultKeepWarmBytes);
  std::string namespace_mode = "0600";
  app.add_option("--socket", options.socket, "Serve this socket; ignored when systemd passes one")
      ->envname("TENSORD_SOCKET")
      ->capture_default_str();
  app.add_option("--max-bytes", max_bytes,
                 "Memory the store may reserve, at most; default: half of the machine's")
      ->envname("TENSORD_MAX_BYTES")
      ->transform(CLI::Validator(check_size, "SIZE"));
  app.add_option("--keep-warm", keep_warm,
                 "Free memory kept ready for new tensors instead of given back; default 1GiB")
      ->envname("TENSORD_KEEP_WARM")
      ->transform(CLI::Validator(check_size, "SIZE"));
  app.add_option("--max-tensors", options.max_tensors, "Tensors at once, at most")
      ->envname("TENSORD_MAX_TENSORS")
      ->check(CLI::Range(1u, shm::kMaxSlots))
      ->capture_default_str();
  app.add_option("--max-connections", options.max_connections, "Connections at once, at most")
      ->envname("TENSORD_MAX_CONNECTIONS")
      ->check(CLI::Range(1u, kMaxClients))
      ->capture_default_str();
  std::optional<std::string> user_bytes, user_dying_bytes;
  app.add_option("--max-bytes-per-user", user_bytes,
                 "Memory that the tensors of one user may take; default: no limit but the store's")
      ->envname("TENSORD_MAX_BYTES_PER_USER")
      ->transform(CLI::Validator(check_size, "SIZE"));
  app.add_option("--max-dying-bytes-per-user", user_dying_bytes,
                 "Memory of deleted tensors that one user may keep by views, or he may make and attach "
                 "nothing more; default: as --max-bytes-per-user")
      ->envname("TENSORD_MAX_DYING_BYTES_PER_USER")
      ->transform(CLI::Validator(check_size, "SIZE"));
  app.add_option("--max-tensors-per-user", options.per_user.tensors,
                 "Tensors of one user at once; default: no limit but the store's")
      ->envname("TENSORD_MAX_TENSORS_PER_USER")
      ->check(CLI::Range(1u, shm::kMaxSlots));
  app.add_option("--max-connections-per-user", options.per_user.connections,
                 "Connections of one user at once; default: no limit but the store's")
      ->envname("TENSORD_MAX_CONNECTIONS_PER_USER")
      ->check(CLI::Range(1u, kMaxClients));
  app.add_option("--namespace-mode", namespace_mode,
                 "Who may read (4) and write (2) in a namespace: owner, group, others")
      ->envname("TENSORD_NAMESPACE_MODE")
      ->transform(CLI::Validator(check_mode, "MODE"))
      ->capture_default_str();
  std::map<std::string, HugePages> huge_pages{
      {"auto", HugePages::kAuto}, {"never", HugePages::kNever}, {"always", HugePages::kAlways}};
  app.add_option("--huge-pages", options.huge_pages,
                 "auto: where the kernel grants them; always: and warn where it does not; never")
      ->envname("TENSORD_HUGE_PAGES")
      ->transform(CLI::CheckedTransformer(huge_pages, CLI::ignore_case))
      ->default_str("auto");
  std::map<std::string, Reserve> reserve{{"ahead", Reserve::kAhead}, {"on-demand", Reserve::kOnDemand}};
  app.add_option("--reserve", options.reserve,
                 "ahead: memory behind every byte of a segment; on-demand: behind its tensors only, so that "
                 "--max-bytes is address space and may be more than the machine has")
      ->envname("TENSORD_RESERVE")
      ->transform(CLI::CheckedTransformer(reserve, CLI::ignore_case))
      ->default_str("ahead");
  app.add_flag(
      "--keep", options.keep,
      "Start the daemon again whenever it dies, and lose nothing by it; ignored under systemd, which "
      "does that itself");
  app.add_option(
         "--watchdog", options.watchdog_s,
         "With --keep: seconds after which a daemon that does nothing is killed and started again; 0: never")
      ->envname("TENSORD_WATCHDOG")
      ->capture_default_str();
  app.add_flag("--background", options.background, "Return once the daemon serves, and let it run on");
  std::map<std::string, log::Level> levels{{"debug", log::Level::kDebug},
                                           {"info", log::Level::kInfo},
                                           {"warning", log::Level::kWarning},
                                           {"error", log::Level::kError}};
  app.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->envname("TENSORD_LOG_LEVEL")
      ->transform(CLI::CheckedTransformer(levels, CLI::ignore_case));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ConfigError& error) {
    std::cerr << "tensord: " << complaint_of(error, config->as<std::string>()) << '\n';
    exit_code = kUsageExitCode;
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? EXIT_SUCCESS : kUsageExitCode;
    return std::nullopt;
  }
  options.max_bytes = std::stoull(max_bytes);
  options.keep_warm_bytes = std::stoull(keep_warm);
  if (user_bytes) options.per_user.bytes = std::stoull(*user_bytes);
  // What a user deletes and goes on viewing is his no less than before, so one limit bounds both.
  options.per_user.dying_bytes = user_dying_bytes ? std::stoull(*user_dying_bytes) : options.per_user.bytes;
  // The default has not passed through the validator.
  options.namespace_mode = static_cast<mode_t>(namespace_mode == "0600" ? 0600 : std::stoul(namespace_mode));
  return options;
}

}  // namespace tensord::daemon
