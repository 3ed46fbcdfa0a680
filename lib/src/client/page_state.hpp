// PageState: what a process knows of the pages behind its writable mapping of one segment.
//
// Question it answers: how is this range written best?
// The daemon has put memory behind every byte, but a process meets it page by page, at the first touch, and
// to meet a page of 4 KiB costs several times as much as to copy it.
//   kAbsent   nothing was written here. pwrite() costs no page fault, and clears nothing that it overwrites.
//   kWritten  pwrite() was here once. Space that is used a second time will be used a third time: now it
//             pays to map the pages, many at a time.
//   kMapped   stores cost nothing else.
// Huge pages cost a five-hundredth of a fault each, so they count as mapped once they were touched.
//
// What it knows may be too little, because others write through the mapping (Builder::mutable_data): a copy
// is then slower, never wrong.
//
// Threads  any; two that write different bytes of one page may both say so.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace tensord::client {

class PageState {
 public:
  enum class Pages { kAbsent, kWritten, kMapped };

  // The unit of what is known. A larger page of the machine is known as several.
  static constexpr std::size_t kPageBytes = 4096;

  // `base` is the mapping, `descriptor` the memory behind it, open for writing; both outlive this object.
  PageState(std::byte* base, std::size_t size_bytes, int descriptor);

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::size_t offset_of(const std::byte* data) const {
    return static_cast<std::size_t>(data - base_);
  }

  // The least that holds for every page wholly inside the range; kMapped if there is none.
  [[nodiscard]] Pages of(std::size_t offset_bytes, std::size_t size_bytes) const;
  // Every page wholly inside the range is at least `pages`.
  void set(std::size_t offset_bytes, std::size_t size_bytes, Pages pages);

  // Finds out whether absent pages of the range are huge, and says kMapped of those that are. Asks the kernel
  // once for each 2 MiB, and no more once the segment was seen to have small pages.
  void find_huge_pages(std::size_t offset_bytes, std::size_t size_bytes);

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Words = std::unique_ptr<std::atomic<std::uint64_t>[], Free>;
  static Words make_words(std::size_t bits);

  std::byte* const base_;
  const std::size_t size_bytes_;
  const int descriptor_;
  // One bit for each page, 64 a word: written at least once; mapped.
  Words written_;
  Words mapped_;
  std::atomic<bool> has_small_pages_{false};
};

}  // namespace tensord::client
