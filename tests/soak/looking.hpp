// Looker: sees what is there, keeps some of it for a while, and is sure of every byte of it. All that a
// client does with tensors of others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actor.hpp"

namespace tensord::soak {

// What a view of this name holds is right, and of which stamp it is. A fault if not. Of a live one that
// somebody may be writing: only the stamp.
[[nodiscard]] std::optional<std::uint64_t> check(const Actor& actor, const View& view, std::string_view name);

class Looker {
 public:
  explicit Looker(Actor& actor) : actor_(actor) {}

  // Attaches to it, and compares what it sees with what must be there. Returns the stamp; 0 for nothing.
  std::uint64_t look(const Place& place);
  // The names of a range, against what is known of each.
  void list(unsigned range);
  // Something of what goes with its client: whatever is seen of it must be whole.
  void look_at_bound(unsigned range);
  // One of the views that it holds: still the same, to the last byte.
  void look_again();
  void drop_some();
  void drop_all() { held_.clear(); }
  void keep(View view, std::string name, std::uint64_t stamp);
  void look_at_all() const;
  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  struct Held {
    View view;
    std::string name;
    std::uint64_t stamp = 0;
  };
  std::uint64_t look_at_one(const Place& place, const std::string& name);
  std::uint64_t look_at_batch(const Place& place, const std::vector<std::string>& names);
  void check_same(const Held& held) const;
  void use(const View& view, const std::string& name, std::uint64_t stamp);

  static constexpr std::size_t kMaxHeld = 40;
  Actor& actor_;
  std::vector<Held> held_;
};

}  // namespace tensord::soak
