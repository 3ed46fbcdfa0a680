// tensord._core: the binding of the C++ library. What users import is the package around it.
#include <pybind11/pybind11.h>

#include <tensord/version.hpp>

#include "batch.hpp"
#include "build.hpp"
#include "errors.hpp"
#include "interrupt.hpp"
#include "lease.hpp"
#include "store.hpp"
#include "view.hpp"
#include "writing.hpp"

PYBIND11_MODULE(_core, module) {
  namespace python = tensord::python;
  // Signatures are in _core.pyi, for people and for tools.
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
}
