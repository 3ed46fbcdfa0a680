// HugePages: whether the store's memory is to lie on pages of 2 MiB, and what the machine makes of it.
#pragma once

#include <chrono>
#include <cstddef>

namespace tensord::daemon {

enum class HugePages {
  kAuto,    // where the kernel grants them, and soon
  kNever,   // pages of 4 KiB
  kAlways,  // however long it takes, with a warning for each segment that got fewer than it could have
};

// Whether to ask for huge pages. Tries one, and says once in the log what the machine grants.
[[nodiscard]] bool choose_huge_pages(HugePages wanted);

// HugePageWish: whether one segment, while it is made, still asks for huge pages.
//
// A huge page takes 0.1 ms where there is memory. It takes 4 where the host of a virtual machine has to find
// it first, which took back what lay free in large pieces; what lies in small pieces stayed with the machine.
// Somebody waits for the segment. So if its memory is used only once, and once it shows that huge pages would
// make it late by more than kPatience, the rest gets small ones, unless those turn out to be no cheaper: then
// it is huge, whatever that takes. Times are those of the thread's processor, so a busy machine is not taken
// for a slow one.
class HugePageWish {
 public:
  using Nanoseconds = std::chrono::nanoseconds;
  // Of one huge page; well above what clearing it takes.
  static constexpr Nanoseconds kExpected = std::chrono::microseconds(500);
  // A segment of 64 MiB is still worth the wait, one of 256 MiB is not.
  static constexpr Nanoseconds kPatience = std::chrono::milliseconds(200);
  // Less is no ground to judge the rest by.
  static constexpr Nanoseconds kHiccup = std::chrono::milliseconds(10);

  enum class For {
    kNothing,
    kPatience,         // of a segment that goes with its tensor
    kUntilRefused,     // of one whose memory is used again: there it pays in the long run
    kWhateverItTakes,  // --huge-pages always
  };
  // `huge_pages` is how many the segment has room for.
  HugePageWish(For how, std::size_t huge_pages);

  [[nodiscard]] bool asks() const { return state_ == State::kPatient || state_ == State::kInsisting; }
  // Whether it matters what small pages take.
  [[nodiscard]] bool is_undecided() const { return state_ == State::kLate; }

  void took(Nanoseconds huge_page);
  void took_instead(Nanoseconds small_pages);  // for as many bytes, with all that a writer will wait for
  void was_refused();

 private:
  enum class State { kPatient, kLate, kInsisting, kOver };
  const bool asks_after_refusal_;
  const std::size_t huge_pages_;
  State state_;
  std::size_t asked_ = 0;
  std::size_t late_ = 0;
  Nanoseconds late_by_{0};
};

}  // namespace tensord::daemon
