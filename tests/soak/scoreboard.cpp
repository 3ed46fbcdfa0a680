#include "scoreboard.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <sstream>
#include <system_error>

namespace tensord::soak {

Scoreboard::Scoreboard() : fd_(::memfd_create("soak-scoreboard", MFD_CLOEXEC)) {
  void* memory = MAP_FAILED;
  if (fd_ >= 0 && ::ftruncate(fd_, sizeof(Board)) == 0) {
    memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  }
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "the scoreboard");
  board_ = static_cast<Board*>(memory);  // zeroes are a board on which nothing has happened
}

Scoreboard::~Scoreboard() {
  ::munmap(board_, sizeof(Board));
  ::close(fd_);
}

std::string Scoreboard::layout() const {
  std::ostringstream json;
  json << "{\"fd\": " << fd_ << ", \"stop\": " << offsetof(Board, stop)
       << ", \"lives\": " << offsetof(Board, lives) << ", \"cells\": " << offsetof(Board, cells)
       << ", \"workers\": " << offsetof(Board, workers) << ", \"ranges\": " << kRanges
       << ", \"cell\": {\"sequence\": " << offsetof(Cell, sequence) << ", \"now\": " << offsetof(Cell, now)
       << ", \"next\": " << offsetof(Cell, next) << ", \"last_stamp\": " << offsetof(Cell, last_stamp)
       << ", \"writes_begun\": " << offsetof(Cell, writes_begun)
       << ", \"writes_ended\": " << offsetof(Cell, writes_ended)
       << ", \"python_writes_begun\": " << offsetof(Cell, python_writes_begun)
       << ", \"python_writes_ended\": " << offsetof(Cell, python_writes_ended)
       << "}, \"cell_bytes\": " << sizeof(Cell) << ", \"worker_bytes\": " << sizeof(Worker)
       << ", \"progress\": " << offsetof(Worker, progress) << ", \"doing\": " << offsetof(Worker, doing)
       << ", \"counts\": " << offsetof(Worker, counts) << ", \"count_names\": [";
  for (std::size_t i = 0; i < kCounts; ++i) json << (i == 0 ? "\"" : ", \"") << kCountNames[i] << '"';
  json << "], \"sorts\": [";
  for (unsigned cell = 0; cell < kCells; ++cell) {
    const Sizes sizes = sizes_of(cell);
    const Sort sort = sort_of(cell);
    json << (cell == 0 ? "" : ", ") << "[\""
         << (sort == Sort::kSealed ? "sealed"
             : sort == Sort::kLive ? "live"
                                   : "batch")
         << "\", " << names_of({0, cell}).size() << ", " << sizes.min_words << ", " << sizes.max_words << ", "
         << sizes.one_huge_in << "]";
  }
  json << "], \"bound_words\": " << kBoundSizes.max_words << ", \"huge_words\": " << kHugeWords << "}";
  return json.str();
}

void Scoreboard::fault(std::string_view text, std::uint64_t lost_bytes) const {
  board_->lost_bytes += lost_bytes;
  const std::uint64_t number = board_->faults++;
  if (number >= kMaxFaults) return;
  Fault& fault = board_->fault_texts[number];
  std::snprintf(fault.text, sizeof(fault.text), "%.*s", static_cast<int>(text.size()), text.data());
  fault.is_written = 1;
}

void Scoreboard::leak(std::string_view text) const {
  ++board_->leaks;
  fault("leak: " + std::string(text));
}

}  // namespace tensord::soak
