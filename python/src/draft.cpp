#include "draft.hpp"

#include <Python.h>

#include <utility>

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
  if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) {
    PyThreadState* const state = PyEval_SaveThread();
    builder_.abort();
    PyEval_RestoreThread(state);
  } else {
    builder_.abort();
  }
}

}  // namespace tensord::python
