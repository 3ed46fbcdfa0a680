#include "live_work.hpp"

#include <chrono>

#include "content.hpp"

namespace tensord::soak {
namespace {

// Of others who write, or are stopped while they do.
constexpr std::chrono::seconds kPatience{2};

std::uint64_t pack(std::uint64_t stamp, std::uint64_t beat) { return stamp << 32 | beat; }

void raise_to(std::atomic<std::uint64_t>& value, std::uint64_t least) {
  std::uint64_t seen = value;
  while (seen < least && !value.compare_exchange_weak(seen, least)) {
  }
}

// As its writer leaves it. The stamp stays; the beat in it is the last one that anybody began.
std::uint64_t beat_once(const View& view, const std::string& name) {
  const std::span<std::uint64_t> words = view.as_mutable<std::uint64_t>();
  const std::uint64_t beat = words[2] + 1;
  fill(words, name, words[1], beat);
  return beat;
}

void note_torn(const Actor& actor, const Cell& cell, const std::string& name) {
  actor.count(Count::kTorn);
  if (!cell.may_be_torn()) actor.board().fault(name + " is torn, although no writer died", 1);
}

}  // namespace

void LiveWork::write(const Place& place) {
  const std::string name = names_of(place)[0];
  Cell& cell = actor_.board().cell(place);
  actor_.begin(Count::kWrite);
  const std::optional<View> view = actor_.store.try_attach(name, Mode::kReadWrite);
  if (!view) return actor_.count(Count::kNotFound);
  const auto write_once = [&](bool repairing) {
    ++cell.writes_begun;
    std::uint64_t beat = 0;
    try {
      Writing writing = view->writing(kPatience, repairing);
      beat = beat_once(*view, name);
      writing.end();
    } catch (const Error&) {  // nothing was begun
      ++cell.writes_ended;
      throw;
    }
    ++cell.writes_ended;
    raise_to(cell.written, pack(view->as<std::uint64_t>()[1], beat));
    actor_.count(repairing ? Count::kRepair : Count::kWrite);
  };
  try {
    try {
      for (auto writes = 1 + actor_.random.below(8); writes > 0; --writes) write_once(false);
    } catch (const TornWriteError&) {
      note_torn(actor_, cell, name);
      actor_.begin(Count::kRepair);
      write_once(true);
    }
  } catch (const TimeoutError&) {
    actor_.count(Count::kTimeout);
  }
}

void LiveWork::read(const Place& place) {
  const std::string name = names_of(place)[0];
  const Cell& cell = actor_.board().cell(place);
  actor_.begin(Count::kRead);
  const std::optional<View> view = actor_.store.try_attach(name);
  if (!view) return actor_.count(Count::kNotFound);
  words_.resize(static_cast<std::size_t>(view->numel()));
  std::uint64_t version = 0, least = cell.written;
  Marks before;
  try {
    for (std::uint64_t look = 0, looks = 2 + actor_.random.below(8); look < looks; ++look) {
      const std::uint64_t now = view->read(std::span(words_), kPatience);
      const auto marks = read_marks(words_, name);
      if (!marks) {
        return actor_.board().fault(
            "a torn read of " + name + " at version " + std::to_string(now) + ": " + describe(words_, name),
            view->size_bytes());
      }
      if (least >> 32 == marks->stamp && pack(marks->stamp, marks->beat) < least) {
        actor_.board().fault(name + " is back at beat " + std::to_string(marks->beat) + ", although beat " +
                                 std::to_string(least & UINT32_MAX) + " was written",
                             view->size_bytes());
      }
      if (look > 0) {
        const bool moved = now != version;
        if (now < version || marks->beat < before.beat || moved != (marks->beat != before.beat)) {
          actor_.board().fault(name + " went from version " + std::to_string(version) + ", beat " +
                               std::to_string(before.beat) + " to " + std::to_string(now) + ", " +
                               std::to_string(marks->beat));
        }
      }
      version = now;
      before = *marks;
      least = pack(before.stamp, before.beat);
      actor_.count(Count::kRead);
    }
  } catch (const TornWriteError&) {
    note_torn(actor_, cell, name);
  } catch (const TimeoutError&) {
    actor_.count(Count::kTimeout);
  }
}

void LiveWork::wait(const Place& place) {
  const std::string name = names_of(place)[0];
  actor_.begin(Count::kWaitVersion);
  const std::optional<View> view = actor_.store.try_attach(name);
  if (!view) return actor_.count(Count::kNotFound);
  const std::uint64_t seen = view->version();
  try {
    const std::uint64_t now = view->wait(seen, std::chrono::milliseconds(1 + actor_.random.below(100)));
    if (now <= seen) {
      actor_.board().fault("waited for a version after " + std::to_string(seen) + " of " + name + ", got " +
                           std::to_string(now));
    }
    actor_.count(Count::kWaitVersion);
  } catch (const TornWriteError&) {
    note_torn(actor_, actor_.board().cell(place), name);
  } catch (const TimeoutError&) {
    actor_.count(Count::kTimeout);
  }
}

bool repair(const Actor& actor, const View& view, const Place& place) {
  const std::string name = names_of(place)[0];
  std::vector<std::uint64_t> words(static_cast<std::size_t>(view.numel()));
  try {
    view.read(std::span(words), kPatience);
  } catch (const TornWriteError&) {
    note_torn(actor, actor.board().cell(place), name);
    Writing writing = view.writing(kPatience, /*repair=*/true);
    beat_once(view, name);
    writing.end();
    view.read(std::span(words), kPatience);
  }
  if (read_marks(words, name)) return true;
  actor.board().fault("wrong bytes in " + name + ": " + describe(words, name), view.size_bytes());
  return false;
}

}  // namespace tensord::soak
