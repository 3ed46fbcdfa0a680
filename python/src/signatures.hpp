// Signatures: what help(), inspect.signature() and stubtest read of the functions of this module.
#pragma once

#include <pybind11/pybind11.h>

namespace tensord::python {

// Gives every function and method of `module` its signature, as it was registered: names, kinds and
// defaults, without types, for those are in _core.pyi. REQUIRES: all is registered.
void add_signatures(const pybind11::module_& module);

}  // namespace tensord::python
