#include "records.hpp"

#include <utility>

#include "dtypes.hpp"
#include "shape_tuple.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

py::object record(const char* name) { return py::module_::import("tensord.records").attr(name); }

}  // namespace

py::object to_record(const Location& location) {
  return record("Location")(location.segment, location.inode, location.offset_bytes);
}

py::object to_snapshot(py::object array, std::uint64_t version) {
  return record("Snapshot")(std::move(array), version);
}

py::object to_record(const Holder& holder) {
  using py::arg;
  return record("Holder")(
      arg("name") = holder.name, arg("state") = word_of(holder.state), arg("connection") = holder.connection,
      arg("pid") = holder.pid, arg("uid") = holder.uid, arg("command") = holder.command,
      arg("views") = holder.views, arg("nbytes") = holder.size_bytes,
      arg("created_unix_ns") = holder.created_unix_ns, arg("connected_unix_ns") = holder.connected_unix_ns);
}

py::object to_record(const Waiter& waiter) {
  using py::arg;
  return record("Waiter")(arg("name") = waiter.name, arg("waits_for") = word_of(waiter.waits_for),
                          arg("connection") = waiter.connection, arg("pid") = waiter.pid,
                          arg("uid") = waiter.uid, arg("command") = waiter.command,
                          arg("since_unix_ns") = waiter.since_unix_ns);
}

py::object to_record(const UserStats& user) {
  using py::arg;
  return record("UserStats")(arg("uid") = user.uid, arg("used_bytes") = user.used_bytes,
                             arg("max_bytes") = user.max_bytes, arg("dying_bytes") = user.dying_bytes,
                             arg("max_dying_bytes") = user.max_dying_bytes, arg("tensors") = user.tensors,
                             arg("max_tensors") = user.max_tensors, arg("connections") = user.connections,
                             arg("max_connections") = user.max_connections);
}

py::object to_record(const TensorInfo& info) {
  using py::arg;
  return record("TensorInfo")(arg("name") = info.name, arg("dtype") = dtype_str(info.dtype),
                              arg("kind") = info.kind == Kind::kLive ? "live" : "sealed",
                              arg("lifetime") = info.lifetime == Lifetime::kClient ? "client" : "store",
                              arg("shape") = shape_tuple(info.shape), arg("nbytes") = info.size_bytes,
                              arg("owner_uid") = info.owner_uid,
                              arg("created_unix_ns") = info.created_unix_ns);
}

py::object to_record(const StoreStats& stats, const ClientStats& client) {
  using py::arg;
  return record("StoreStats")(
      arg("limit_bytes") = stats.limit_bytes, arg("reserved_bytes") = stats.reserved_bytes,
      arg("used_bytes") = stats.used_bytes, arg("dying_bytes") = stats.dying_bytes,
      arg("largest_free_bytes") = stats.largest_free_bytes, arg("tensors") = stats.tensors,
      arg("dying_tensors") = stats.dying_tensors, arg("building_tensors") = stats.building_tensors,
      arg("max_tensors") = stats.max_tensors, arg("segments") = stats.segments,
      arg("connections") = stats.connections, arg("max_connections") = stats.max_connections,
      arg("daemon_pid") = stats.daemon_pid, arg("kept_by") = word_of(stats.kept_by),
      arg("uptime_ms") = stats.uptime_ms, arg("published") = stats.published,
      arg("published_bytes") = stats.published_bytes, arg("deleted") = stats.deleted,
      arg("version") = stats.version, arg("bytes_copied_in") = client.bytes_copied_in,
      arg("bytes_copied_out") = client.bytes_copied_out, arg("requests") = client.requests);
}

}  // namespace tensord::python
