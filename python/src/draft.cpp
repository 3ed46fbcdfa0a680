#include "draft.hpp"

#include <optional>
#include <utility>

#include "no_gil.hpp"

namespace tensord::python {

Elements Draft::elements() const {
  return {builder_.mutable_data(), true, builder_.dtype(), builder_.shape(), builder_.strides(),
          builder_.size_bytes()};
}

View Draft::publish() {
  published_ = builder_.publish();
  return published_;
}

std::vector<View> Draft::publish_many(const Store& store, std::span<const std::shared_ptr<Draft>> drafts) {
  std::vector<Builder> builders;
  builders.reserve(drafts.size());
  for (const auto& draft : drafts) builders.push_back(std::move(draft->builder_));
  std::vector<View> views;
  try {
    views = store.publish_many(builders);
  } catch (...) {
    for (std::size_t i = 0; i < drafts.size(); ++i) drafts[i]->builder_ = std::move(builders[i]);
    throw;
  }
  for (std::size_t i = 0; i < drafts.size(); ++i) drafts[i]->published_ = views[i];
  return views;
}

Draft::~Draft() {
  if (!builder_) return;
  // Dropping it asks the daemon. A request never waits while it holds the GIL: another thread may
  // wait for the GIL in the midst of its own request, to look for Ctrl-C.
  std::optional<NoGil> no_gil;
  if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) no_gil.emplace();
  builder_.abort();
}

}  // namespace tensord::python
