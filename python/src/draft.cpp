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
