// A producer owns a range of names: it alone puts and deletes there, so it knows what must be there, and
// writes down what it is about to do before it does it. Its successor, after it was killed, finds one
// operation in doubt at most.
#include <algorithm>
#include <string>
#include <vector>

#include "content.hpp"
#include "live_work.hpp"
#include "looking.hpp"
#include "range.hpp"
#include "roles.hpp"

namespace tensord::soak {
namespace {

class Producer {
 public:
  Producer(const Task& task, unsigned range) : actor_(task), looker_(actor_), live_(actor_), range_(range) {
    begin_life();
  }

  void step() {
    const unsigned any = static_cast<unsigned>(actor_.random.below(kCells));
    switch (actor_.random.below(16)) {
      case 0: return put_bound();
      case 1: return looker_.look_again();
      case 2: return static_cast<void>(looker_.look({range_, any}));
      case 3:
        if (actor_.random.one_in(8)) looker_.drop_some();
        return;
      case 4: return abort(any);
      case 5:
        if (actor_.random.one_in(8)) begin_again();
        return;
      case 6:
        if (actor_.random.one_in(4)) looker_.list(range_);
        return;
      case 7:
        if (sort_of(any) == Sort::kLive) live_.write({range_, any});
        return;
      default: break;
    }
    if (sort_of(any) == Sort::kBatch) return put_batch(any);
    work_on(any);
  }

  // What nobody holds on to goes before the end, some of it.
  void leave() { looker_.drop_all(); }

 private:
  // A life is a connection. Its end takes what is bound to it, however it comes.
  void begin_life() {
    std::atomic<std::uint64_t>& life = actor_.board()->lives[range_];
    actor_.begin(Count::kResolve);
    await_end_of(actor_, range_, life);
    ++life;
    put_bound();  // number 0 tells that this life lasts
    settle(looker_, actor_.board(), range_);
    actor_.count(Count::kResolve);
  }
  void begin_again() {
    looker_.drop_all();  // views keep their connection, and what is bound to it
    bound_ = 0;
    actor_.connect_again();
    begin_life();
  }

  [[nodiscard]] Cell& cell(unsigned i) const { return actor_.board().cell({range_, i}); }

  // Does what makes `next` the tensor of the cell's name (0: none), and writes down how it went.
  template <class Act>
  void change(unsigned i, std::uint64_t next, Count what, Act&& act) {
    Cell& own = cell(i);
    actor_.begin(what);
    own.next = next;
    if (next != 0) own.last_stamp = next;
    ++own.sequence;
    try {
      act();
      own.now = next;
      actor_.count(what);
    } catch (const OutOfSpaceError&) {  // it did not happen
      actor_.count(Count::kOutOfSpace);
    }
    ++own.sequence;
  }

  std::span<const std::uint64_t> content(const std::string& name, std::uint64_t stamp, const Sizes& sizes) {
    scratch_.resize(words_of(name, stamp, sizes));
    fill(scratch_, name, stamp, 0);
    return scratch_;
  }

  void work_on(unsigned i) {
    const bool there = cell(i).now != 0;
    const std::uint64_t stamp = cell(i).last_stamp + 1;
    const std::string name = names_of({range_, i})[0];
    const Kind kind = sort_of(i) == Sort::kLive ? Kind::kLive : Kind::kSealed;
    if (there && actor_.random.one_in(4)) {
      return change(i, 0, Count::kDelete, [&] { actor_.store.remove(name); });
    }
    if (there && actor_.random.one_in(8)) return put_where_there_is_one(name, stamp, i);
    const auto use = [&](View view) {
      if (kind == Kind::kSealed && actor_.random.one_in(2)) looker_.keep(std::move(view), name, stamp);
    };
    if (actor_.random.one_in(3)) {
      change(i, stamp, Count::kBuild, [&] {
        Builder builder = build(name, stamp, sizes_of(i), {.replace = there, .kind = kind});
        use(builder.publish());
      });
    } else {
      const auto words = content(name, stamp, sizes_of(i));
      change(i, stamp, there ? Count::kReplace : Count::kPut,
             [&] { use(actor_.store.put(name, words, {.replace = there, .kind = kind})); });
    }
  }

  void put_where_there_is_one(const std::string& name, std::uint64_t stamp, unsigned i) {
    actor_.begin(Count::kPut);
    try {
      actor_.store.put(name, content(name, stamp, sizes_of(i)));
      actor_.board().fault(name + " was put twice without `replace`");
    } catch (const AlreadyExistsError&) {
      actor_.count(Count::kAlreadyExists);
    } catch (const OutOfSpaceError&) {
      actor_.count(Count::kOutOfSpace);
    }
  }

  Builder build(const std::string& name, std::uint64_t stamp, const Sizes& sizes, const PutOptions& options) {
    const auto length = static_cast<std::int64_t>(words_of(name, stamp, sizes));
    Builder builder = actor_.store.build(name, kUInt64, {&length, 1}, options);
    fill({reinterpret_cast<std::uint64_t*>(builder.mutable_data()), static_cast<std::size_t>(length)}, name,
         stamp, 0);
    return builder;
  }

  // Builds, and thinks better of it: nobody sees any of it. No change of the cell.
  void abort(unsigned i) {
    actor_.begin(Count::kAbort);
    const std::string name = names_of({range_, i})[0];
    try {
      Builder builder = build(name, cell(i).last_stamp + 1, sizes_of(i), {.replace = true});
      if (actor_.random.one_in(2)) looker_.look({range_, i});
      builder.abort();
      actor_.count(Count::kAbort);
    } catch (const OutOfSpaceError&) {
      actor_.count(Count::kOutOfSpace);
    }
  }

  // A batch is replaced as one, and never deleted: deletion is of one name at a time.
  void put_batch(unsigned i) {
    const std::vector<std::string> names = names_of({range_, i});
    const std::uint64_t stamp = cell(i).last_stamp + 1;
    const PutOptions replacing{.replace = true};
    if (actor_.random.one_in(4)) {
      return change(i, stamp, Count::kPublishMany, [&] {
        std::vector<Builder> builders;
        for (const std::string& name : names) builders.push_back(build(name, stamp, sizes_of(i), replacing));
        actor_.store.publish_many(builders);
      });
    }
    std::vector<std::vector<std::uint64_t>> contents;
    std::vector<std::int64_t> lengths;
    for (const std::string& name : names) {
      contents.emplace_back(words_of(name, stamp, sizes_of(i)));
      fill(contents.back(), name, stamp, 0);
      lengths.push_back(static_cast<std::int64_t>(contents.back().size()));
    }
    std::vector<PutItem> items;
    for (std::size_t n = 0; n < names.size(); ++n) {
      items.push_back({names[n], {kUInt64, {&lengths[n], 1}, {}, contents[n].data()}});
    }
    change(i, stamp, Count::kPutMany, [&] { actor_.store.put_many(items, replacing); });
  }

  void put_bound() {
    actor_.begin(Count::kPutBound);
    const std::string name = bound_prefix_of(range_, actor_.board()->lives[range_]) + std::to_string(bound_);
    try {
      actor_.store.put(name, content(name, bound_ + 1, kBoundSizes), {.lifetime = Lifetime::kClient});
      ++bound_;
      actor_.count(Count::kPutBound);
    } catch (const OutOfSpaceError&) {
      actor_.count(Count::kOutOfSpace);
      // Without the first one nobody could tell that this life is over.
      if (bound_ == 0) throw;
    }
  }

  Actor actor_;
  Looker looker_;
  LiveWork live_;
  const unsigned range_;
  std::uint64_t bound_ = 0;
  std::vector<std::uint64_t> scratch_;

 public:
  [[nodiscard]] bool stopped() const { return actor_.stopped(); }
  void pause() { actor_.pause(); }
};

}  // namespace

void produce(const Task& task, unsigned range) {
  Producer producer(task, range);
  while (!producer.stopped()) {
    producer.step();
    producer.pause();
  }
  producer.leave();
}

}  // namespace tensord::soak
