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

HugePageWish::HugePageWish(For how, std::size_t huge_pages)
    : asks_after_refusal_(how == For::kWhateverItTakes),
      huge_pages_(huge_pages),
      state_(how == For::kNothing    ? State::kOver
             : how == For::kPatience ? State::kPatient
                                     : State::kInsisting) {}

void HugePageWish::took(Nanoseconds huge_page) {
  if (state_ != State::kPatient) return;
  ++asked_;
  if (huge_page <= kExpected) return;
  ++late_;
  late_by_ += huge_page - kExpected;
  const Nanoseconds all_would_be_late_by = late_by_ * huge_pages_ / asked_;
  if (late_by_ > kHiccup && all_would_be_late_by > kPatience) state_ = State::kLate;
}

void HugePageWish::took_instead(Nanoseconds small_pages) {
  if (state_ != State::kLate) return;
  const Nanoseconds late_page = kExpected + late_by_ / late_;
  if (small_pages >= late_page) state_ = State::kInsisting;
}

void HugePageWish::was_refused() {
  // A machine whose memory is in pieces looks for a whole one each time, and that takes long.
  if (!asks_after_refusal_) state_ = State::kOver;
}

}  // namespace tensord::daemon
