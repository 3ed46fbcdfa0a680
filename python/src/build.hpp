// PyBuild: what Python calls tensord.Build: `with store.build(...) as view:`.
//
// Owns     a share of the draft until the block ends.
// Threads  with the GIL, which publishing and dropping release.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tensord/view.hpp>

#include "draft.hpp"

namespace tensord::python {

// The end of a block over tensors in the making: publishes them, without the GIL, or, after an exception,
// drops them. `views` are what the block wrote through, in the order of what `publish` returns; they become
// views of the published tensors, or are closed. Never swallows an exception.
void end_block(pybind11::handle exception_type, std::span<const pybind11::object> views,
               const std::function<std::vector<View>()>& publish);

class PyBuild {
 public:
  PyBuild(std::shared_ptr<Draft> draft, std::string socket)
      : draft_(std::move(draft)), socket_(std::move(socket)) {}

  // A writable view. Once only.
  [[nodiscard]] pybind11::object enter();
  // As end_block().
  void exit(pybind11::handle exception_type);

 private:
  std::shared_ptr<Draft> draft_;
  std::string socket_;
  pybind11::object view_;
};

void register_build(pybind11::module_& module);

}  // namespace tensord::python
