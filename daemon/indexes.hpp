// Indexes: the free entries of a table. One that was used before comes first, so that a table touches no more
// memory than it needs at once.
//
// Threads  one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace tensord::daemon {

class Indexes {
 public:
  explicit Indexes(std::uint32_t count) : count_(count) {}

  [[nodiscard]] bool any_free() const { return !free_.empty() || reached_ < count_; }
  std::optional<std::uint32_t> take() {
    if (!free_.empty()) {
      const std::uint32_t index = free_.back();
      free_.pop_back();
      return index;
    }
    if (reached_ == count_) return std::nullopt;
    return reached_++;
  }
  // REQUIRES: taken, and not given back since.
  void give_back(std::uint32_t index) { free_.push_back(index); }

  // From here on none was ever taken.
  [[nodiscard]] std::uint32_t reached() const { return reached_; }
  // As somebody else left them: those before `reached` are taken, but for which is_free(index).
  // REQUIRES: reached <= count, and nothing was taken yet.
  template <class IsFree>
  void restore(std::uint32_t reached, IsFree&& is_free) {
    reached_ = reached;
    for (std::uint32_t index = reached; index-- > 0;) {
      if (is_free(index)) free_.push_back(index);
    }
  }

 private:
  const std::uint32_t count_;
  std::uint32_t reached_ = 0;
  std::vector<std::uint32_t> free_;
};

}  // namespace tensord::daemon
