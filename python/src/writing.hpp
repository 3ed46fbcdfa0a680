// PyWriting: `with view.writing():`, and waiting for versions.
// Threads  with the GIL, which every wait releases.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include <tensord/view.hpp>

#include "view.hpp"

namespace tensord::python {

class PyWriting {
 public:
  PyWriting(View view, std::chrono::nanoseconds timeout, bool repair);
  void enter();
  // Ends it, or gives it up if the block raised.
  void exit(pybind11::handle exception_type);

 private:
  View view_;
  std::chrono::nanoseconds timeout_;
  bool repair_;
  std::optional<Writing> writing_;
};

// Timeouts are seconds, or None for ever.
[[nodiscard]] PyWriting begin_writing(const PyView& view, pybind11::handle timeout, bool repair);
[[nodiscard]] std::uint64_t wait_for_version(const PyView& view, std::uint64_t after,
                                             pybind11::handle timeout);

void register_writing(pybind11::module_& module);

}  // namespace tensord::python
