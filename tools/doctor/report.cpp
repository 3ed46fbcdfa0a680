#include "report.hpp"

#include <algorithm>
#include <string_view>

#include "json.hpp"
#include "parts.hpp"

namespace tensord::tools::doctor {
namespace {

constexpr std::size_t kLevelWidth = 9;
constexpr std::size_t kNameWidth = 18;
constexpr std::size_t kIndent = kLevelWidth + kNameWidth;
// Narrower terminals fold by themselves.
constexpr std::size_t kLeastTextWidth = 30;

// Names of processes, files and groups are others' to choose, and the terminal is not theirs to write to.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string sentence(const Finding& finding) {
  std::string text = finding.found;
  if (!finding.change.empty()) text += ". Change: " + finding.change;
  if (!finding.buys.empty()) text += ". Buys: " + finding.buys;
  return printable(text);
}

// Folds at blanks; the lines after the first begin with kIndent blanks.
std::string folded(const std::string& text, std::size_t width) {
  if (width < kIndent + kLeastTextWidth) return text;
  std::string lines;
  std::size_t column = kIndent;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view word = daemon::take_part(rest, ' ');
    if (column > kIndent && column + 1 + word.size() > width) {
      lines += "\n" + std::string(kIndent, ' ');
      column = kIndent;
    } else if (column > kIndent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::string in_colour(Level level, const std::string& text) {
  const char* const code = level == Level::kProblem ? "31" : level == Level::kAdvice ? "33" : "32";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

std::string count_of(const Report& report, Level level) {
  const auto count =
      std::ranges::count(report, level, [](const Entry& entry) { return entry.finding.level; });
  const bool is_one = count == 1;
  switch (level) {
    case Level::kProblem: return std::to_string(count) + (is_one ? " problem" : " problems");
    case Level::kAdvice: return std::to_string(count) + (is_one ? " piece of advice" : " pieces of advice");
    case Level::kOk: break;
  }
  return std::to_string(count) + " ok";
}

}  // namespace

Report examine(const Machine& machine, const Sight& sight) {
  Report report;
  for (const Check& check : all_checks()) {
    for (Finding& finding : check.look(machine, sight)) report.push_back({check.name, std::move(finding)});
  }
  return report;
}

Level worst_of(const Report& report) {
  Level worst = Level::kOk;
  for (const Entry& entry : report) worst = std::max(worst, entry.finding.level);
  return worst;
}

std::string as_text(const Report& report, std::size_t width, bool colour) {
  std::string text;
  for (const auto& [check, finding] : report) {
    const std::string level = padded(word_of(finding.level), kLevelWidth);
    text += colour ? in_colour(finding.level, level) : level;
    text += padded(check, kNameWidth) + folded(sentence(finding), width) + "\n";
  }
  return text + "\n" + count_of(report, Level::kProblem) + ", " + count_of(report, Level::kAdvice) + ", " +
         count_of(report, Level::kOk) + "\n";
}

std::string as_json(const Report& report) {
  Json list = Json::array();
  for (const auto& [check, finding] : report) {
    list.push_back({{"check", check},
                    {"level", word_of(finding.level)},
                    {"found", finding.found},
                    {"change", finding.change},
                    {"buys", finding.buys}});
  }
  return text_of(list);
}

std::string list_as_text() {
  std::string text = padded("WORST", kLevelWidth) + padded("CHECK", kNameWidth) + "ASKS\n";
  for (const Check& check : all_checks()) {
    text += padded(word_of(check.worst), kLevelWidth) + padded(check.name, kNameWidth) + check.asks + "\n";
  }
  return text;
}

std::string list_as_json() {
  Json list = Json::array();
  for (const Check& check : all_checks())
    list.push_back({{"check", check.name}, {"worst", word_of(check.worst)}, {"asks", check.asks}});
  return text_of(list);
}

}  // namespace tensord::tools::doctor
