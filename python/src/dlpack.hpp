// DLPack: handing a tensor's memory to another array library, and reading what one hands to us.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>

#include "dlpack_abi.hpp"
#include "elements.hpp"

namespace tensord::python::dlpack {

// A capsule of `elements`, whose bytes stay while `owner` lives. `owner` is dropped by the consumer,
// on any thread, without the GIL, perhaps after the interpreter is gone: it must be pure C++.
[[nodiscard]] pybind11::object export_legacy(const Elements& elements, std::shared_ptr<void> owner);
[[nodiscard]] pybind11::object export_versioned(const Elements& elements, std::shared_ptr<void> owner,
                                                std::uint64_t flags);

// The tensor that `producer` offers by __dlpack__, and the capsule that keeps it. The capsule is not
// marked as used: dropping it gives the tensor back.
struct Imported {
  pybind11::object capsule;
  const Tensor* tensor = nullptr;
};
// Throws UnsupportedTypeError unless it lies in memory that the CPU reads.
[[nodiscard]] Imported import(pybind11::handle producer);

}  // namespace tensord::python::dlpack
