// Lease: the Python object that keeps a tensor's bytes in place. It is the base of every ndarray and
// the owner of every buffer made from a View, so they outlive the View, its name and its Store.
//
// Owns     a pin (tensord::View), or a share of a tensor in the making (Draft).
// Threads  with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include <tensord/view.hpp>

#include "draft.hpp"
#include "elements.hpp"

namespace tensord::python {

// The C++ part of a lease: exactly one of the two is set.
struct LeaseContent {
  View view;
  std::shared_ptr<Draft> draft;

  [[nodiscard]] Elements elements() const;
  // What a tensor of another library keeps alive: pure C++, to be dropped on any thread, without the GIL.
  [[nodiscard]] std::shared_ptr<void> share() const;
};

[[nodiscard]] pybind11::object make_lease(View view);
[[nodiscard]] pybind11::object make_lease(std::shared_ptr<Draft> draft);
// REQUIRES: `lease` came from make_lease.
[[nodiscard]] const LeaseContent& lease_content(pybind11::handle lease);

void register_lease();

}  // namespace tensord::python
