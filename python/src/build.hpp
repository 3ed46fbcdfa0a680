// PyBuild: what Python calls tensord.Build: `with store.build(...) as view:`.
//
// Owns     a share of the draft until the block ends.
// Threads  with the GIL, which publishing and dropping release.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>

#include "draft.hpp"

namespace tensord::python {

class PyBuild {
 public:
  PyBuild(std::shared_ptr<Draft> draft, std::string socket)
      : draft_(std::move(draft)), socket_(std::move(socket)) {}

  // A writable view. Once only.
  [[nodiscard]] pybind11::object enter();
  // Publishes, or, after an exception, drops. Never swallows the exception.
  void exit(pybind11::handle exception_type);

 private:
  std::shared_ptr<Draft> draft_;
  std::string socket_;
  pybind11::object view_;
};

void register_build(pybind11::module_& module);

}  // namespace tensord::python
