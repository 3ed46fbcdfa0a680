// Records: the library's plain structs as the named tuples of tensord/records.py.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include <tensord/store.hpp>

namespace tensord::python {

[[nodiscard]] pybind11::object to_record(const Location& location);
[[nodiscard]] pybind11::object to_snapshot(pybind11::object array, std::uint64_t version);
[[nodiscard]] pybind11::object to_record(const Holder& holder);
[[nodiscard]] pybind11::object to_record(const UserStats& user);
pybind11::object to_record(const Waiter& waiter);
[[nodiscard]] pybind11::object to_record(const TensorInfo& info);
[[nodiscard]] pybind11::object to_record(const StoreStats& stats, const ClientStats& client);

}  // namespace tensord::python
