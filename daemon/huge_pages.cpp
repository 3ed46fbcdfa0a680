#include "huge_pages.hpp"

#include <fstream>
#include <string>

#include "log.hpp"
#include "os/pages.hpp"

namespace tensord::daemon {
namespace {

// The chosen word of "always within_size advise [never] deny force".
std::string shmem_setting() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  for (std::string word; file >> word;) {
    if (word.size() > 2 && word.front() == '[') return word.substr(1, word.size() - 2);
  }
  return "unknown";
}

}  // namespace

bool choose_huge_pages(HugePages wanted) {
  if (wanted == HugePages::kNever) {
    log::info("huge pages: not asked for (--huge-pages never)");
    return false;
  }
  if (os::grants_huge_pages()) {
    log::info("huge pages: granted, segments lie on pages of 2 MiB");
    return true;
  }
  const std::string text =
      "huge pages: not granted, segments lie on small pages: it takes Linux 6.1 with transparent huge pages, "
      "allowed to this process (prctl), and not \"deny\" in "
      "/sys/kernel/mm/transparent_hugepage/shmem_enabled, which says \"" +
      shmem_setting() + "\"";
  wanted == HugePages::kAlways ? log::warning(text) : log::info(text);
  return wanted == HugePages::kAlways;
}

}  // namespace tensord::daemon
