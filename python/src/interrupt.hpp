// Interrupt: what ends a request or a wait before its time: Ctrl-C, or, on a thread that waits in the stead
// of an event loop, that loop.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <memory>

namespace tensord::python {

// WaitStop: `with stop:` around a wait lets another thread end it with stop.stop(), within a fifth of a
// second. The wait raises TimeoutError then. Such a thread handles no signals of Python's.
class PyWaitStop {
 public:
  void stop() { stopped_->store(true, std::memory_order_relaxed); }
  void enter();
  static void exit();

 private:
  std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
};

void register_interrupt_check(pybind11::module_& module);

}  // namespace tensord::python
