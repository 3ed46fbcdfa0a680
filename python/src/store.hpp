// The Python class tensord.Store, over the C++ one: names, views, figures.
#pragma once

#include <pybind11/pybind11.h>

namespace tensord::python {

void register_store(pybind11::module_& module);

}  // namespace tensord::python
