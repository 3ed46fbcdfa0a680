#include "looking.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "content.hpp"
#include "sight.hpp"

namespace tensord::soak {
namespace {

// Of a live tensor it never changes, whoever writes.
std::uint64_t stamp_of(const View& view) {
  return view.size_bytes() < kHeaderWords * sizeof(std::uint64_t) ? 0 : view.as<std::uint64_t>()[1];
}

}  // namespace

std::optional<std::uint64_t> check(const Actor& actor, const View& view, std::string_view name) {
  actor.begin(Count::kVerify);
  if (view.kind() == Kind::kLive) return stamp_of(view);
  const std::span<const std::uint64_t> words = view.as<std::uint64_t>();
  const auto marks = read_marks(words, name);
  if (marks && marks->beat == 0) {
    actor.count(Count::kVerify);
    return marks->stamp;
  }
  actor.board().fault("wrong bytes in " + std::string(name) + ": " + describe(words, name),
                      view.size_bytes());
  return std::nullopt;
}

std::uint64_t Looker::look(const Place& place) {
  const std::vector<std::string> names = names_of(place);
  return names.size() == 1 ? look_at_one(place, names[0]) : look_at_batch(place, names);
}

std::uint64_t Looker::look_at_one(const Place& place, const std::string& name) {
  actor_.begin(Count::kAttach);
  const Sight sight(actor_.board().cell(place));
  const std::optional<View> view = actor_.store.try_attach(name);
  const std::optional<std::uint64_t> stamp = view ? check(actor_, *view, name) : 0;
  if (!stamp) return 0;  // said already
  if (const auto why = sight.contradicts(*stamp)) {
    actor_.board().fault(name + ": " + *why, view ? view->size_bytes() : 1);
  }
  actor_.count(view ? Count::kAttach : Count::kNotFound);
  if (view && sort_of(place.cell) == Sort::kSealed) use(*view, name, *stamp);
  return *stamp;
}

std::uint64_t Looker::look_at_batch(const Place& place, const std::vector<std::string>& names) {
  actor_.begin(Count::kAttachMany);
  const std::vector<std::string_view> all(names.begin(), names.end());
  const Sight sight(actor_.board().cell(place));
  std::optional<std::uint64_t> first;
  try {
    std::vector<View> views = actor_.store.attach_many(all);
    for (std::size_t i = 0; i < views.size(); ++i) {
      const auto stamp = check(actor_, views[i], names[i]);
      if (!stamp) return 0;
      if (!first) first = stamp;
      if (*stamp != *first) {
        actor_.board().fault("a batch is seen in parts: " + names[0] + " of stamp " + std::to_string(*first) +
                                 ", " + names[i] + " of " + std::to_string(*stamp),
                             views[i].size_bytes());
      }
    }
    const std::size_t any = actor_.random.below(views.size());
    keep(std::move(views[any]), names[any], *first);
    actor_.count(Count::kAttachMany);
  } catch (const NotFoundError&) {
    first = 0;
    actor_.count(Count::kNotFound);
  }
  if (const auto why = sight.contradicts(*first))
    actor_.board().fault(names[0] + " and its batch: " + *why, 1);
  return *first;
}

// What else a sealed view is good for, without a copy or with one.
void Looker::use(const View& view, const std::string& name, std::uint64_t stamp) {
  const std::span<const std::uint64_t> words = view.as<std::uint64_t>();
  switch (actor_.random.below(8)) {
    case 0: {
      actor_.begin(Count::kClone);
      std::vector<std::uint64_t> copy(words.size());
      view.clone_to(std::as_writable_bytes(std::span(copy)));
      if (!read_marks(copy, name)) actor_.board().fault("a clone of " + name + ": " + describe(copy, name));
      actor_.count(Count::kClone);
      return;
    }
    case 1: {
      actor_.begin(Count::kMapPrivate);
      const std::shared_ptr<std::byte> mine = view.map_private();
      std::memset(mine.get(), 0xff, std::min<std::size_t>(view.size_bytes(), 8192));
      actor_.count(Count::kMapPrivate);
      break;  // what was written there reached nobody else
    }
    case 2: {
      actor_.begin(Count::kSubView);
      const View header = view.narrow(0, 0, kHeaderWords);
      if (header.as<std::uint64_t>()[1] != stamp)
        actor_.board().fault("a part of " + name + " is of another stamp");
      actor_.count(Count::kSubView);
      return;
    }
    default: break;
  }
  keep(view, name, stamp);
}

void Looker::keep(View view, std::string name, std::uint64_t stamp) {
  if (held_.size() >= kMaxHeld) drop_some();
  held_.push_back({std::move(view), std::move(name), stamp});
}

void Looker::check_same(const Held& held) const {
  const auto stamp = check(actor_, held.view, held.name);
  if (stamp && *stamp != held.stamp) {
    actor_.board().fault("a view of " + held.name + " changed under its holder, from stamp " +
                             std::to_string(held.stamp) + " to " + std::to_string(*stamp),
                         held.view.size_bytes());
  }
}

void Looker::look_again() {
  if (!held_.empty()) check_same(held_[actor_.random.below(held_.size())]);
}

void Looker::look_at_all() const {
  for (const Held& held : held_) check_same(held);
}

void Looker::drop_some() {
  for (std::size_t n = actor_.random.below(held_.size() + 1); n > 0; --n) {
    std::swap(held_[actor_.random.below(held_.size())], held_.back());
    check_same(held_.back());
    held_.pop_back();
  }
}

void Looker::look_at_bound(unsigned range) {
  actor_.begin(Count::kList);
  const std::vector<std::string> names = actor_.store.names(prefix_of(range) + "bound/");
  actor_.count(Count::kList);
  if (names.empty()) return;
  const std::string& name = names[actor_.random.below(names.size())];
  actor_.begin(Count::kAttach);
  std::optional<View> view = actor_.store.try_attach(name);
  actor_.count(view ? Count::kAttach : Count::kNotFound);
  if (!view) return;
  if (const auto stamp = check(actor_, *view, name)) keep(std::move(*view), name, *stamp);
}

void Looker::list(unsigned range) {
  actor_.begin(Count::kList);
  std::vector<Sight> sights;
  sights.reserve(kCells);
  for (unsigned cell = 0; cell < kCells; ++cell) sights.emplace_back(actor_.board().cell({range, cell}));
  const std::vector<std::string> listed = actor_.store.names(prefix_of(range));
  const std::set<std::string_view> names(listed.begin(), listed.end());
  for (unsigned cell = 0; cell < kCells; ++cell) {
    const auto stamp = sights[cell].steady();
    if (!stamp) continue;
    for (const std::string& name : names_of({range, cell})) {
      if (names.contains(name) != (*stamp != 0)) {
        actor_.board().fault(name +
                                 (*stamp != 0 ? " is not listed, although it is there, of stamp "
                                              : " is listed, although it is deleted; stamp ") +
                                 std::to_string(*stamp),
                             *stamp != 0 ? 1 : 0);
      }
    }
  }
  actor_.count(Count::kList);
}

}  // namespace tensord::soak
