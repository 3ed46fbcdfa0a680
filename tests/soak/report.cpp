#include "report.hpp"

#include <algorithm>
#include <cstdio>

#include "human.hpp"

namespace tensord::soak {
namespace {

std::uint64_t sum_of(const Scoreboard& board, std::size_t count) {
  std::uint64_t sum = 0;
  for (const Worker& worker : board->workers) sum += worker.counts[count];
  return sum;
}

void print(const char* text, std::uint64_t figure) {
  std::printf("  %-42s %12llu\n", text, static_cast<unsigned long long>(figure));
}

void print_counts(const Scoreboard& board, const char* title, std::size_t from, std::size_t to) {
  std::uint64_t all = 0;
  for (std::size_t i = from; i < to; ++i) all += sum_of(board, i);
  std::printf("%s: %llu\n", title, static_cast<unsigned long long>(all));
  for (std::size_t i = from; i < to; ++i) {
    if (const std::uint64_t sum = sum_of(board, i); sum != 0) print(kCountNames[i], sum);
  }
}

std::uint64_t descriptors_of(const KernelFigures& figures) {
  std::uint64_t sum = figures.segments;
  for (const auto& [kind, count] : figures.descriptors) sum += count;
  return sum;
}

void print_figures(const char* when, const std::optional<StoreFigures>& figures) {
  if (!figures) return;
  const KernelFigures& daemon = figures->daemon;
  std::printf(
      "%s: %llu descriptors (the keeper %llu), %llu segments with %s behind them, the daemon resident in "
      "%s\n",
      when, static_cast<unsigned long long>(descriptors_of(daemon)),
      static_cast<unsigned long long>(descriptors_of(figures->keeper)),
      static_cast<unsigned long long>(daemon.segments), human_bytes(daemon.segment_bytes).c_str(),
      human_bytes(daemon.resident_bytes).c_str());
}

}  // namespace

void print_report(const Scoreboard& board, const Options& options, const Workers::Kills& kills,
                  const Reckoning& reckoning) {
  std::printf("\nsoak: %.0f s, seed %llu\n", options.seconds, static_cast<unsigned long long>(options.seed));
  print_counts(board, "operations", 0, kOperations);
  print_counts(board, "errors that are answers", kOperations, kCounts);
  std::uint64_t survived = 0;
  for (const auto& [kind, count] : kills) survived += count;
  std::printf("kills survived: %llu\n", static_cast<unsigned long long>(survived));
  for (const auto& [kind, count] : kills) print(kind.c_str(), count);
  std::printf("at the end: %llu tensors in %s\n", static_cast<unsigned long long>(reckoning.tensors),
              human_bytes(reckoning.bytes).c_str());
  print_figures("  the kernel, with them", reckoning.with_tensors);
  print_figures("  the kernel, after they were deleted", reckoning.empty);
  if (!reckoning.empty) std::printf("  the kernel's figures are not looked at: only root may\n");
  std::printf("bytes lost: %llu\nleaks: %llu\nfaults: %llu\n",
              static_cast<unsigned long long>(board->lost_bytes),
              static_cast<unsigned long long>(board->leaks), static_cast<unsigned long long>(board->faults));
  for (const Fault& fault : board->fault_texts) {
    if (fault.is_written != 0) std::printf("  %s\n", fault.text);
  }
}

}  // namespace tensord::soak
