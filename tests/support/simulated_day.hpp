// A day in the life of Space: tensors of mixed sizes come and go while the store stays as full as it is told
// to. It is bookkeeping alone, with no memory behind it, so that a million operations take a second.
//
// Sizes      between 4 KiB and 64 MiB, every order of magnitude as often as any other (log-uniform).
// Lifetimes  49 % of the tensors go in the order they came, as in a queue; 49 % go at random; 2 % stay some
// twenty
//            times as long as the others, and together have 30 % of the bytes: checkpoints, datasets.
// Pools      the namespaces differ in how busy they are (1, 1/2, 1/3, ...); each has sealed and live tensors.
// Spares     eight clients hold the spare that comes with a small put, and lose it when space runs out, as in
//            Registry.
// Fill       bytes in tensors, as the users said them, of the limit. At less than wanted a tensor comes, else
// one
//            goes; a tensor that finds no place is a failure, and the next one is drawn anew.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include "space.hpp"

namespace tensord::test {

struct Day {
  std::uint64_t limit_bytes = std::uint64_t{4} << 30;
  double fill = 0.8;
  unsigned namespaces = 1;
  bool live_too = false;
  unsigned seed = 1;
  std::uint64_t operations = 1'000'000;  // creates and deletes, once the store is as full as wanted
  std::uint64_t keep_warm_bytes = std::uint64_t{1} << 30;
};

struct DayFigures {
  std::uint64_t creates = 0;
  std::uint64_t failures = 0;
  std::uint64_t deletes = 0;
  std::uint64_t failures_without_enough_bytes = 0;  // free bytes, wherever they are, would not have sufficed
  std::uint64_t created_bytes = 0;
  std::uint64_t segments_made = 0;
  std::uint64_t made_bytes = 0;
  double mean_fill = 0;
  std::uint64_t most_segments = 0;
  daemon::SpaceFigures at_end = {};

  [[nodiscard]] double failed_share() const {
    return static_cast<double>(failures) / static_cast<double>(creates);
  }
  // Of the bytes that came, how many were made for them: the rest went where there was memory already.
  [[nodiscard]] double cold_share() const {
    return static_cast<double>(made_bytes) / static_cast<double>(created_bytes);
  }
};

class SimulatedDay {
 public:
  explicit SimulatedDay(const Day& day)
      : day_(day),
        space_(day.limit_bytes, day.keep_warm_bytes),
        random_(day.seed),
        wanted_bytes_(static_cast<std::uint64_t>(static_cast<double>(day.limit_bytes) * day.fill)) {
    const unsigned kinds = day.live_too ? 2 : 1;
    for (unsigned i = 0; i < day.namespaces; ++i) {
      for (unsigned kind = 0; kind < kinds; ++kind) {
        pools_.push_back({i + 1, kind == 0 ? Kind::kSealed : Kind::kLive});
        all_weight_ += 1.0 / (i + 1);
        weights_up_to_.push_back(all_weight_);
      }
    }
  }

  DayFigures run() {
    // A store that never gets as full as wanted says so by its failures and its mean fill.
    for (int i = 0; i < 100'000 && bytes_ < wanted_bytes_; ++i) create();
    figures_ = {};
    double fills = 0;
    for (std::uint64_t i = 0; i < day_.operations; ++i) {
      if (bytes_ < wanted_bytes_) {
        create();
      } else {
        remove();
      }
      fills += static_cast<double>(bytes_) / static_cast<double>(day_.limit_bytes);
    }
    figures_.mean_fill = fills / static_cast<double>(day_.operations);
    figures_.at_end = space_.figures();
    return figures_;
  }

 private:
  static constexpr double kSmallest = 4096;
  static constexpr double kDoublings = 14;  // to 64 MiB
  static constexpr std::uint64_t kMaxSpareBytes = std::uint64_t{4} << 20;
  static constexpr std::size_t kClients = 8;

  struct Tensor {
    daemon::Extent extent;
    std::uint64_t size_bytes;
  };

  // Not std::uniform_real_distribution, whose draws are the library's choice.
  double draw() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::size_t draw_below(std::size_t n) { return random_() % n; }

  daemon::Pool draw_pool() {
    const double at = draw() * all_weight_;
    std::size_t i = 0;
    while (i + 1 < pools_.size() && weights_up_to_[i] <= at) ++i;
    return pools_[i];
  }

  void create() {
    const daemon::Pool pool = draw_pool();
    const auto size_bytes = static_cast<std::uint64_t>(kSmallest * std::exp2(kDoublings * draw()));
    const double life = draw();
    const std::size_t client = draw_below(kClients);
    ++figures_.creates;
    std::optional<daemon::Extent> extent = place(pool, size_bytes);
    if (!extent && take_spares_back()) extent = place(pool, size_bytes);
    if (!extent) {
      ++figures_.failures;
      if (space_.figures().free_bytes < size_bytes) ++figures_.failures_without_enough_bytes;
      return;
    }
    bytes_ += size_bytes;
    figures_.created_bytes += size_bytes;
    const Tensor tensor{*extent, size_bytes};
    if (life < 0.02) {
      lasting_bytes_ += size_bytes;
      lasting_.push_back(tensor);
    } else if (life < 0.51) {
      queue_.push_back(tensor);
    } else {
      others_.push_back(tensor);
    }
    if (size_bytes <= kMaxSpareBytes) grant_spare(client, pool, size_bytes);
  }

  void remove() {
    const auto lasting_share = static_cast<double>(lasting_bytes_) / static_cast<double>(wanted_bytes_);
    if (lasting_share > 0.3 || queue_.size() + others_.size() == 0) {
      lasting_bytes_ -= end(take_one(lasting_));
    } else if (draw_below(queue_.size() + others_.size()) < queue_.size()) {
      const Tensor oldest = queue_.front();
      queue_.pop_front();
      end(oldest);
    } else {
      end(take_one(others_));
    }
    ++figures_.deletes;
  }

  Tensor take_one(std::vector<Tensor>& tensors) {
    std::swap(tensors[draw_below(tensors.size())], tensors.back());
    const Tensor taken = tensors.back();
    tensors.pop_back();
    return taken;
  }

  std::uint64_t end(const Tensor& tensor) {
    give_back(tensor.extent);
    bytes_ -= tensor.size_bytes;
    return tensor.size_bytes;
  }

  void grant_spare(std::size_t client, daemon::Pool pool, std::uint64_t size_bytes) {
    if (const auto old = spares_.extract(client)) give_back(old.mapped());
    const daemon::Placement placement = space_.place(pool, size_bytes, prefix_bytes(pool));
    if (const auto* placed = std::get_if<daemon::Placed>(&placement)) spares_[client] = placed->extent;
  }

  bool take_spares_back() {
    const bool any = !spares_.empty();
    for (const auto& [client, extent] : spares_) give_back(extent);
    spares_.clear();
    return any;
  }

  // A caller that makes and drops segments at once, as Segments does in the end.
  std::optional<daemon::Extent> place(daemon::Pool pool, std::uint64_t size_bytes) {
    for (;;) {
      const daemon::Placement placement = space_.place(pool, size_bytes, prefix_bytes(pool));
      if (const auto* placed = std::get_if<daemon::Placed>(&placement)) return placed->extent;
      if (const auto* needed = std::get_if<daemon::NeedsSegment>(&placement)) {
        space_.reserve_begin(needed->plan);
        space_.add_segment(++last_id_, needed->plan);
        ++figures_.segments_made;
        figures_.made_bytes += needed->plan.size_bytes;
        figures_.most_segments = std::max(figures_.most_segments, space_.figures().segments);
      } else if (const auto* drop = std::get_if<daemon::NeedsDrop>(&placement)) {
        for (const daemon::SegmentId id : drop->segments) space_.drop(id);
      } else {
        return std::nullopt;
      }
    }
  }

  void give_back(const daemon::Extent& extent) {
    if (!space_.free(extent)) return;
    for (const daemon::SegmentId id : space_.surplus()) space_.drop(id);
  }

  static std::uint64_t prefix_bytes(daemon::Pool pool) {
    return pool.kind == Kind::kLive ? daemon::kCacheLineBytes : 0;
  }

  const Day day_;
  daemon::Space space_;
  std::mt19937_64 random_;
  const std::uint64_t wanted_bytes_;
  std::vector<daemon::Pool> pools_;
  std::vector<double> weights_up_to_;
  double all_weight_ = 0;
  std::deque<Tensor> queue_;
  std::vector<Tensor> others_;
  std::vector<Tensor> lasting_;
  std::map<std::size_t, daemon::Extent> spares_;
  std::uint64_t bytes_ = 0;
  std::uint64_t lasting_bytes_ = 0;
  daemon::SegmentId last_id_ = 0;
  DayFigures figures_;
};

}  // namespace tensord::test
