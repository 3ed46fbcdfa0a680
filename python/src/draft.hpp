// Draft: a tensor in the making, shared by the `with store.build(...)` block and by the arrays that
// were handed out inside of it.
//
// Owns     the Builder until publication, then one pin: arrays kept from the block stay valid, and
//          space of a dropped draft goes back only when the last of them is gone, so that no kept
//          array can write into somebody else's tensor.
// Threads  publish() once; destruction on any thread, with or without the GIL.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include <tensord/store.hpp>
#include <tensord/view.hpp>

#include "elements.hpp"

namespace tensord::python {

class Draft {
 public:
  explicit Draft(Builder builder) : builder_(std::move(builder)) {}
  ~Draft();
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  [[nodiscard]] const Builder& builder() const { return builder_; }
  // REQUIRES: not published. Once published, nobody makes new arrays of a draft.
  [[nodiscard]] Elements elements() const;
  // Makes the tensor visible; call without the GIL. Throws as Builder::publish().
  View publish();
  // The same for several, all built by `store`: all of them or, when it throws, none.
  static std::vector<View> publish_many(const Store& store, std::span<const std::shared_ptr<Draft>> drafts);

 private:
  Builder builder_;
  View published_;
};

}  // namespace tensord::python
