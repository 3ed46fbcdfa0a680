#include "kernel_figures.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace tensord::soak {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSegment = "memfd:tensord-segment";

// "/memfd:tensord-ledger (deleted)" and "socket:[123]" without what differs from one to the next.
std::string kind_of(std::string link) {
  if (link.starts_with("/memfd:")) return link.substr(1, link.find(' ') - 1);
  return link.substr(0, link.find(":["));
}

}  // namespace

std::optional<KernelFigures> kernel_figures(pid_t process) {
  const fs::path directory = fs::path("/proc") / std::to_string(process);
  KernelFigures figures;
  std::error_code error;
  std::set<ino_t> seen;
  for (const auto& entry : fs::directory_iterator(directory / "fd", error)) {
    std::error_code gone;
    const fs::path link = fs::read_symlink(entry.path(), gone);
    if (gone) continue;  // closed meanwhile
    const std::string kind = kind_of(link);
    if (kind != kSegment) {
      ++figures.descriptors[kind];
      continue;
    }
    ++figures.segments;
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) == 0 && seen.insert(status.st_ino).second) {
      figures.segment_bytes +=
          static_cast<std::uint64_t>(status.st_blocks) * 512;  // stat(2): of 512 bytes each
    }
  }
  if (error) return std::nullopt;
  std::ifstream maps(directory / "maps");
  for (std::string line; std::getline(maps, line);) {
    const auto at = line.find("/memfd:");
    if (at == std::string::npos) continue;
    if (const std::string kind = kind_of(line.substr(at)); kind != kSegment) ++figures.mappings[kind];
  }
  std::ifstream statm(directory / "statm");
  std::uint64_t pages = 0, resident_pages = 0;
  statm >> pages >> resident_pages;
  figures.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return figures;
}

std::string difference(const KernelFigures::ByKind& a, const KernelFigures::ByKind& b) {
  KernelFigures::ByKind all = a;
  all.insert(b.begin(), b.end());
  std::string text;
  for (const auto& [kind, unused] : all) {
    const auto count = [&kind = kind](const KernelFigures::ByKind& of) {
      return of.contains(kind) ? of.at(kind) : 0;
    };
    if (count(a) == count(b)) continue;
    text += (text.empty() ? "" : ", ") + kind + " " + std::to_string(count(a)) + " -> " +
            std::to_string(count(b));
  }
  return text;
}

}  // namespace tensord::soak
