// Spare: the draft that the daemon granted ahead (protocol/messages.hpp, PublishReply), until a put takes it.
//
// A loop puts tensors of one size, one kind and one namespace. From the second such put in a row on a spare
// is asked for, so that who puts once holds none.
//
// Threads  any.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <tensord/view.hpp>

#include "protocol/messages.hpp"

namespace tensord::client {

class Spare {
 public:
  // What a spare must agree with a tensor in.
  struct Sort {
    std::string_view space;  // the namespace
    Kind kind = Kind::kSealed;
    std::uint64_t size_bytes = 0;
  };

  // The spare, if there is one of this sort; from now on the caller's.
  [[nodiscard]] std::optional<protocol::Granted> take(const Sort& sort);
  // A tensor of this sort is being put: is the next one likely to be, so that it pays to ask for a spare?
  [[nodiscard]] bool is_wanted(const Sort& sort);
  // What a put of this sort was granted, or did not use after all. Word 0: nothing.
  void keep(const Sort& sort, const protocol::Granted& spare);

 private:
  [[nodiscard]] bool is_last_sort(const Sort& sort) const {
    return sort.size_bytes == size_bytes_ && sort.kind == kind_ && sort.space == space_;
  }

  std::mutex mutex_;
  std::string space_;  // these three: the sort of the last put, and of the spare
  Kind kind_ = Kind::kSealed;
  std::uint64_t size_bytes_ = 0;
  protocol::Granted spare_;
};

}  // namespace tensord::client
