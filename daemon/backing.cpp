#include "backing.hpp"

#include <algorithm>
#include <cassert>

namespace tensord::daemon {

Backing::Backing(std::uint64_t size_bytes)
    : size_bytes_(size_bytes), pieces_((size_bytes + kPieceBytes - 1) / kPieceBytes) {}

Backing::Indexes Backing::pieces_of(const Range& range) {
  assert(range.size_bytes > 0);
  return {range.offset / kPieceBytes, (range.offset + range.size_bytes + kPieceBytes - 1) / kPieceBytes};
}

std::uint64_t Backing::bytes_of(std::size_t piece) const {
  return std::min(kPieceBytes, size_bytes_ - piece * kPieceBytes);
}

template <class Wanted>
std::vector<Range> Backing::those(Indexes among, Wanted&& wanted) const {
  std::vector<Range> ranges;
  for (std::size_t i = among.begin; i < among.end; ++i) {
    if (!wanted(pieces_[i])) continue;
    const std::uint64_t offset = i * kPieceBytes;
    const bool joins = !ranges.empty() && ranges.back().offset + ranges.back().size_bytes == offset;
    if (!joins) ranges.push_back({offset, 0});
    ranges.back().size_bytes += bytes_of(i);
  }
  return ranges;
}

void Backing::take(const Range& extent) {
  const auto [begin, end] = pieces_of(extent);
  for (std::size_t i = begin; i < end; ++i) {
    if (pieces_[i].is_idle()) idle_bytes_ -= bytes_of(i);
    ++pieces_[i].tensors;
  }
}

std::vector<Range> Backing::missing(const Range& extent) const {
  return those(pieces_of(extent), [](const Piece& piece) { return !piece.has_memory; });
}

void Backing::has_memory(const Range& pieces) {
  const auto [begin, end] = pieces_of(pieces);
  for (std::size_t i = begin; i < end; ++i) {
    if (pieces_[i].has_memory) continue;  // two tensors asked for it at once
    pieces_[i].has_memory = true;
    memory_bytes_ += bytes_of(i);
    if (pieces_[i].is_idle()) idle_bytes_ += bytes_of(i);
  }
}

std::vector<Range> Backing::leave(const Range& extent) {
  const auto among = pieces_of(extent);
  for (std::size_t i = among.begin; i < among.end; ++i) {
    assert(pieces_[i].tensors > 0 && "leaving what was not taken");
    --pieces_[i].tensors;
    if (pieces_[i].is_idle()) idle_bytes_ += bytes_of(i);
  }
  return those(among, [](const Piece& piece) { return piece.is_idle(); });
}

std::vector<Range> Backing::idle() const {
  return those({0, pieces_.size()}, [](const Piece& piece) { return piece.is_idle(); });
}

void Backing::reclaim(const Range& pieces) {
  const auto [begin, end] = pieces_of(pieces);
  for (std::size_t i = begin; i < end; ++i) {
    assert(pieces_[i].is_idle() && "taking memory from under a tensor");
    pieces_[i].has_memory = false;
    memory_bytes_ -= bytes_of(i);
    idle_bytes_ -= bytes_of(i);
  }
}

}  // namespace tensord::daemon
