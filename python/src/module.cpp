// tensord._core: the binding of the C++ library. What users import is the package around it.
#include <pybind11/pybind11.h>

#include <tensord/version.hpp>

#include "batch.hpp"
#include "build.hpp"
#include "errors.hpp"
#include "interrupt.hpp"
#include "lease.hpp"
#include "signatures.hpp"
#include "store.hpp"
#include "view.hpp"
#include "writing.hpp"

PYBIND11_MODULE(_core_of_main, module) {
  namespace python = tensord::python;
  // Signatures of text: add_signatures() makes some that Python reads, and types are in _core.pyi.
  pybind11::options options;
  options.disable_function_signatures();
  module.doc() = "The binding of the C++ library; import tensord instead.";
  module.attr("__version__") = tensord::kVersion;

  python::register_errors();
  python::register_lease();
  python::register_view(module);
  python::register_build(module);
  python::register_writing(module);
  python::register_store(module);
  python::register_batches(module);
  python::register_interrupt_check(module);
  python::add_signatures(module);
}

// What Python calls. Types and errors are kept once a process, for the main interpreter: in another one,
// pybind11 would wait for a GIL for ever (3.11), or objects of two interpreters would meet.
PYBIND11_PLUGIN_IMPL(_core) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(
        PyExc_ImportError,
        "tensord works in the main interpreter only, not in sub-interpreters: import it there, or use a "
        "process of its own");
    return nullptr;
  }
  return PyInit__core_of_main();
}
