// Held: what a block of docs/copies.md left behind: its view and its `weights`, whatever they are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <tensord/store.hpp>
#include <tensord/view.hpp>

class Held {
 public:
  explicit Held(tensord::View view) : view_(std::move(view)) {}
  virtual ~Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  [[nodiscard]] const tensord::View& view() const { return view_; }
  [[nodiscard]] virtual std::vector<double> values() const = 0;
  // Writes into all of `weights`; false if its type forbids it.
  virtual bool fill(double value) = 0;

 private:
  tensord::View view_;
};

// Weights that are a range of numbers: a span, or a vector.
template <class Range>
class HeldRange : public Held {
 public:
  HeldRange(tensord::View view, Range range) : Held(std::move(view)), range_(std::move(range)) {}
  [[nodiscard]] std::vector<double> values() const override { return {range_.begin(), range_.end()}; }
  bool fill(double value) override {
    using Element = std::remove_reference_t<decltype(*range_.begin())>;
    if constexpr (std::is_const_v<Element>) {
      return false;
    } else {
      std::fill(range_.begin(), range_.end(), static_cast<Element>(value));
      return true;
    }
  }

 private:
  Range range_;
};

template <class Range>
std::unique_ptr<Held> hold(const tensord::View& view, const Range& range) {
  return std::make_unique<HeldRange<Range>>(view, range);
}

struct Block {
  const char* role;
  int number;  // of the example in the page
  std::unique_ptr<Held> (*run)(const tensord::Store& store);
};

extern const std::vector<Block> kBlocks;
