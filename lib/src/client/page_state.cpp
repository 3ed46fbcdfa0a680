#include "client/page_state.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <new>

#include "os/pages.hpp"

namespace tensord::client {
namespace {

constexpr std::size_t kBits = 64;

struct PageRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

PageRange whole_pages(std::size_t offset_bytes, std::size_t size_bytes) {
  const std::size_t begin = (offset_bytes + PageState::kPageBytes - 1) / PageState::kPageBytes;
  const std::size_t end = (offset_bytes + size_bytes) / PageState::kPageBytes;
  return {begin, std::max(begin, end)};
}

// Calls visit(word, mask) for each word that holds pages of the range, until that returns false.
template <class Visit>
bool for_words(PageRange pages, Visit&& visit) {
  for (std::size_t page = pages.begin; page < pages.end;) {
    const std::size_t in_word = page % kBits;
    const std::size_t count = std::min(kBits - in_word, pages.end - page);
    const std::uint64_t mask = (count == kBits ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1)
                               << in_word;
    if (!visit(page / kBits, mask)) return false;
    page += count;
  }
  return true;
}

long faults_of_this_thread() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

void touch(const std::byte* byte) { static_cast<void>(*const_cast<const volatile std::byte*>(byte)); }

}  // namespace

PageState::Words PageState::make_words(std::size_t bits) {
  // calloc: of a large segment only the words that are used cost memory.
  Words words(static_cast<std::atomic<std::uint64_t>*>(
      std::calloc(bits / kBits + 1, sizeof(std::atomic<std::uint64_t>))));
  if (words == nullptr) throw std::bad_alloc();
  return words;
}

PageState::PageState(std::byte* base, std::size_t size_bytes, int descriptor)
    : base_(base),
      size_bytes_(size_bytes),
      descriptor_(descriptor),
      written_(make_words(size_bytes / kPageBytes)),
      mapped_(make_words(size_bytes / kPageBytes)) {}

PageState::Pages PageState::of(std::size_t offset_bytes, std::size_t size_bytes) const {
  const PageRange pages = whole_pages(offset_bytes, size_bytes);
  const auto all = [&](const Words& words) {
    return for_words(pages, [&](std::size_t word, std::uint64_t mask) {
      return (words[word].load(std::memory_order_relaxed) & mask) == mask;
    });
  };
  if (all(mapped_)) return Pages::kMapped;
  return all(written_) ? Pages::kWritten : Pages::kAbsent;
}

void PageState::set(std::size_t offset_bytes, std::size_t size_bytes, Pages pages) {
  if (pages == Pages::kAbsent) return;
  for_words(whole_pages(offset_bytes, size_bytes), [&](std::size_t word, std::uint64_t mask) {
    written_[word].fetch_or(mask, std::memory_order_relaxed);
    if (pages == Pages::kMapped) mapped_[word].fetch_or(mask, std::memory_order_relaxed);
    return true;
  });
}

void PageState::find_huge_pages(std::size_t offset_bytes, std::size_t size_bytes) {
  constexpr std::size_t kPiece = os::kHugePageBytes;
  const std::size_t end = std::min(offset_bytes + size_bytes, size_bytes_ / kPiece * kPiece);
  for (std::size_t piece = offset_bytes / kPiece * kPiece; piece < end; piece += kPiece) {
    if (has_small_pages_.load(std::memory_order_relaxed)) return;
    const std::size_t from = std::max(piece, offset_bytes);
    if (of(from, std::min(piece + kPiece, end) - from) != Pages::kAbsent) continue;
    // Two pages of a piece, too far from each other for the kernel to map both at once, unless they are one.
    const long before = faults_of_this_thread();
    touch(base_ + piece + kPiece / 4);
    touch(base_ + piece + kPiece / 4 * 3);
    const long faults = faults_of_this_thread() - before;
    if (faults > 1) {
      has_small_pages_.store(true, std::memory_order_relaxed);
      return;
    }
    // No fault at all: somebody has written here by himself, which tells nothing. Then it is copied the
    // simple way.
    set(piece, kPiece, Pages::kMapped);
  }
}

}  // namespace tensord::client
