// Batches: several tensors put, built or attached together.
#pragma once

#include <pybind11/pybind11.h>

namespace tensord::python {

// Adds put_many, build_many and attach_many to the class Store, and the class BuildMany.
// REQUIRES: register_store() and register_view() came before.
void register_batches(pybind11::module_& module);

}  // namespace tensord::python
