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

namespace {

// Types and errors are kept once a process, for the main interpreter: in another one, pybind11 would wait for
// a GIL for ever (3.11), or objects of two interpreters would meet.
constexpr const char* kOnlyInMain =
    "tensord works in the main interpreter only, not in sub-interpreters: import it there, or use a process "
    "of its own";

bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

PYBIND11_MODULE(_core_of_main, module) {
  // From Python 3.13 on, what it calls first runs in the main interpreter, whoever imports; only this is the
  // importer's.
  if (!is_main_interpreter()) throw pybind11::import_error(kOnlyInMain);
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

// What Python calls.
PYBIND11_PLUGIN_IMPL(_core) {
  if (!is_main_interpreter()) {
    PyErr_SetString(PyExc_ImportError, kOnlyInMain);
    return nullptr;
  }
  return PyInit__core_of_main();
}
