#include "interrupt.hpp"

#include <pybind11/pybind11.h>

#include <tensord/store.hpp>

namespace py = pybind11;

namespace tensord::python {

void register_interrupt_check() {
  Store::set_interrupt_check([] {
    if (Py_IsInitialized() == 0) return;
    // Requests wait without the GIL; signal handlers of Python run with it, on the main thread.
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

}  // namespace tensord::python
