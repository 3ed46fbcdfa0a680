// Arguments: reading what users write for a mode, a lifetime, a shape, a timeout, a path, with errors that
// say what would have been right.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <tensord/store.hpp>

namespace tensord::python {

[[nodiscard]] Mode read_mode(pybind11::handle object);          // "r", "r+"
[[nodiscard]] Lifetime read_lifetime(pybind11::handle object);  // "store", "client"
[[nodiscard]] PutOptions read_put_options(bool replace, bool live, pybind11::handle lifetime);
[[nodiscard]] std::vector<std::int64_t> read_shape(pybind11::handle object);  // 3, (), (2, 3), [2, 3]
// Seconds from 0 up, or None for ever.
[[nodiscard]] std::chrono::nanoseconds read_timeout(pybind11::handle timeout);
[[nodiscard]] std::string read_path(pybind11::handle object);  // str, bytes, os.PathLike

}  // namespace tensord::python
