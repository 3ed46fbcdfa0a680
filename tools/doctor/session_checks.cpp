// Units are read as systemd reads them: the first tensord.service of the folders counts, then all drop-ins,
// by their file names; of two with one name that of the earlier folder; of two settings the later one.
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <system_error>

#include "checks.hpp"

namespace tensord::tools::doctor {
namespace {

// The oldest that the units were tried with (docs/systemd.md).
constexpr int kOldestTried = 252;

std::string user_name() {
  const passwd* const account = ::getpwuid(::geteuid());
  return account == nullptr ? std::to_string(::geteuid()) : account->pw_name;
}

// The files of a folder that end so, by name.
std::map<std::string, std::string> files_in(const Machine& machine, const std::string& folder,
                                            const std::string& end) {
  std::map<std::string, std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(machine.at(folder), error)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(end)) files.emplace(name, std::filesystem::path(folder) / name);
  }
  return files;
}

std::string stripped(const std::string& line) {
  const std::size_t first = line.find_first_not_of(" \t");
  return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

// What a "Key=value" file last says of each key; of Environment= of each variable in it, as
// "Environment=NAME".
void read_settings(const std::string& text, std::map<std::string, std::string>& settings) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = stripped(line);
    const std::size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || line.front() == ';' || equals == std::string::npos) continue;
    const std::string key = stripped(line.substr(0, equals)), value = stripped(line.substr(equals + 1));
    if (key != "Environment") {
      settings[key] = value;
      continue;
    }
    if (value.empty())
      std::erase_if(settings, [](const auto& one) { return one.first.starts_with("Environment="); });
    std::istringstream words(value);
    for (std::string word; words >> word;) {
      std::erase(word, '"');
      std::erase(word, '\'');
      if (const std::size_t middle = word.find('='); middle != std::string::npos) {
        settings["Environment=" + word.substr(0, middle)] = word.substr(middle + 1);
      }
    }
  }
}

struct Unit {
  std::string path;  // empty: not installed
  std::string last_drop_in;
  std::map<std::string, std::string> settings;
};

Unit read_unit(const Machine& machine, const std::vector<std::string>& folders) {
  Unit unit;
  std::map<std::string, std::string> drop_ins;
  for (const std::string& folder : folders) {
    const std::string path = folder + "/tensord.service";
    if (unit.path.empty() && machine.exists(path)) unit.path = path;
    drop_ins.merge(files_in(machine, path + ".d", ".conf"));
  }
  if (unit.path.empty()) return unit;
  read_settings(machine.text(unit.path).value_or(""), unit.settings);
  for (const auto& [name, path] : drop_ins) {
    read_settings(machine.text(path).value_or(""), unit.settings);
    unit.last_drop_in = path;
  }
  return unit;
}

std::vector<std::string> unit_folders(const std::string& manager) {
  std::vector<std::string> folders;
  const char* const home = std::getenv("HOME");
  if (manager == "user" && home != nullptr && *home == '/')
    folders.push_back(std::string(home) + "/.config/systemd/user");
  for (const char* above :
       {"/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/", "/lib/systemd/"}) {
    folders.push_back(above + manager);
  }
  return folders;
}

std::string setting(const Unit& unit, const std::string& key) {
  const auto found = unit.settings.find(key);
  return found == unit.settings.end() ? "" : found->second;
}

Finding judge_unit(const Unit& unit) {
  const std::string kept = setting(unit, "FileDescriptorStoreMax"),
                    told = setting(unit, "Environment=FDSTORE");
  const std::string where = unit.last_drop_in.empty() ? unit.path : unit.path + " with " + unit.last_drop_in;
  const auto number = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
  if (number(kept) == 0) {
    return problem(
        where + " has no FileDescriptorStoreMax=: systemd keeps nothing while there is no daemon",
        "`systemctl edit tensord`: [Service] FileDescriptorStoreMax=16384 and Environment=FDSTORE=16384",
        "a restart, or a crash, that loses nothing");
  }
  if (number(kept) < number(told)) {
    return problem(
        where + " has systemd keep " + kept + " descriptors, and tells the daemon " + told,
        "`systemctl edit tensord`: FileDescriptorStoreMax= and Environment=FDSTORE= to the same number",
        "connections beyond it are refused with an error, instead of lost by the next restart");
  }
  if (number(told) != 0 && number(kept) > number(told)) {
    return advice(where + " has systemd keep " + kept + " descriptors, of which the daemon is told " + told,
                  "`systemctl edit tensord`: Environment=FDSTORE=" + kept,
                  "connections up to what systemd keeps, three descriptors each");
  }
  return ok(where + " keeps " + kept + " descriptors: a restart loses nothing");
}

}  // namespace

Findings check_remove_ipc(const Machine& machine, const Sight&) {
  std::map<std::string, std::string> settings;
  read_settings(machine.text("/etc/systemd/logind.conf").value_or(""), settings);
  std::map<std::string, std::string> drop_ins;
  for (const char* folder :
       {"/etc/systemd/logind.conf.d", "/run/systemd/logind.conf.d", "/usr/lib/systemd/logind.conf.d"}) {
    drop_ins.merge(files_in(machine, folder, ".conf"));
  }
  for (const auto& [name, path] : drop_ins) read_settings(machine.text(path).value_or(""), settings);
  const auto found = settings.find("RemoveIPC");
  if (found == settings.end() || found->second == "no")
    return {ok("logind's RemoveIPC does not touch tensord: it has no memory with a name")};
  return {
      ok("logind has RemoveIPC=" + found->second +
         ", which takes /dev/shm files at logout and nothing of tensord's: it has no memory with a name")};
}

Findings check_lingering(const Machine& machine, const Sight& sight) {
  const std::string usual = "/run/user/" + std::to_string(::geteuid());
  if (!sight.place().socket.starts_with(usual + "/") || !machine.is_folder("/run/systemd/users")) {
    return {ok("the socket does not go with a logout")};
  }
  const std::string user = user_name();
  if (machine.exists("/var/lib/systemd/linger/" + user))
    return {ok(user + " lingers: the store outlives the logout")};
  return {advice(usual + " goes with your last logout, and the socket " + sight.place().socket + " with it",
                 "`loginctl enable-linger " + user + "`", "a store that outlives your logout")};
}

Findings check_systemd(const Machine& machine, const Sight&) {
  if (!machine.is_folder("/run/systemd/system"))
    return {ok("no systemd runs here; `tensorctl start` and connect() keep the store without it")};
  Findings findings;
  for (const std::string manager : {"system", "user"}) {
    const Unit unit = read_unit(machine, unit_folders(manager));
    if (!unit.path.empty()) findings.push_back(judge_unit(unit));
  }
  if (findings.empty())
    return {
        ok("no unit of tensord's is installed; `tensorctl start` and connect() keep the store without it")};
  const std::string said = machine.output_of({"systemctl", "--version"}).value_or("");
  const std::int64_t version =
      leading_number(said.substr(std::min(said.find(' '), said.size()))).value_or(kOldestTried);
  if (version < kOldestTried) {
    findings.push_back(advice(
        "systemd " + std::to_string(version) + " is older than " + std::to_string(kOldestTried) +
            ", the oldest that the units were tried with",
        "update it, or `tensorctl start` instead of the unit", "restarts that are known to lose nothing"));
  }
  return findings;
}

}  // namespace tensord::tools::doctor
