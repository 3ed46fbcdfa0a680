#include "interrupt.hpp"

#include <tensord/error.hpp>
#include <tensord/store.hpp>

namespace py = pybind11;

namespace tensord::python {
namespace {

// What ends the waits of this thread; null for threads that wait for themselves. The thread keeps it alive.
thread_local std::shared_ptr<std::atomic<bool>> stop_of_this_thread;

}  // namespace

void PyWaitStop::enter() { stop_of_this_thread = stopped_; }
void PyWaitStop::exit() { stop_of_this_thread.reset(); }

void register_interrupt_check(py::module_& module) {
  py::class_<PyWaitStop>(
      module, "WaitStop",
      R"(Ends the waits of another thread: they run in `with stop:`, and raise TimeoutError after stop().

For tensord.waiting, which lends threads to event loops.)")
      .def(py::init<>())
      .def("stop", &PyWaitStop::stop, "Ends the wait within a fifth of a second. From any thread.")
      .def("__enter__", [](PyWaitStop& self) { self.enter(); })
      .def("__exit__", [](PyWaitStop&, const py::args&) { PyWaitStop::exit(); });

  // Whoever waits calls this when a signal came, and in between: lib/src/client/waiting.cpp.
  Store::set_interrupt_check([] {
    if (const auto& stop = stop_of_this_thread) {
      if (stop->load(std::memory_order_relaxed))
        throw TimeoutError("the wait was given up by its event loop: its task was cancelled");
      return;
    }
    if (Py_IsInitialized() == 0) return;
    // Requests wait without the GIL; signal handlers of Python run with it, on the main thread.
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

}  // namespace tensord::python
