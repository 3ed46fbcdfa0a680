// Every call that may ask the daemon releases the GIL while it does: not only so that other threads
// run, but because a waiting request looks for Ctrl-C with the GIL, while another request may wait
// for its turn: with the GIL in hand, the two would wait for each other.
#include "store.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tensord/store.hpp>

#include "arguments.hpp"
#include "array_input.hpp"
#include "build.hpp"
#include "cast.hpp"
#include "converted.hpp"
#include "dtypes.hpp"
#include "no_gil.hpp"
#include "records.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

Store connect(py::handle socket, bool start) {
  ConnectOptions options;
  if (!socket.is_none()) options.socket = read_path(socket);
  options.start = start;
  const NoGil no_gil;
  return Store::connect(options);
}

PyView attach(const Store& store, std::string_view name, py::handle mode, bool populate) {
  const AttachOptions options{read_mode(mode), populate};
  View view;
  {
    const NoGil no_gil;
    view = store.attach(name, options);
  }
  return PyView(std::move(view), store.socket());
}

PyView wait_for_name(const Store& store, std::string_view name, py::handle timeout, py::handle mode) {
  const std::chrono::nanoseconds limit = read_timeout(timeout);
  const Mode read = read_mode(mode);
  View view;
  {
    const NoGil no_gil;
    view = store.wait(name, limit, read);
  }
  return PyView(std::move(view), store.socket());
}

PyView get_item(const Store& store, std::string_view name) {
  View view;
  {
    const NoGil no_gil;
    view = store.attach(name);
  }
  return PyView(std::move(view), store.socket());
}

View put_source(const Store& store, std::string_view name, Source source, std::optional<DType> dtype,
                const PutOptions& options) {
  const auto keeps_dtype = [&] { return !dtype || held_dtype(source) == dtype; };
  if (const std::optional<View> live = live_view(source)) {
    if (keeps_dtype()) {
      const NoGil no_gil;
      return store.put(name, *live, options);
    }
    source = whole_copy(source);  // NumPy would cast elements of several versions
  }
  if (const std::optional<ArrayInput> input = keeps_dtype() ? read_elements(source) : std::nullopt) {
    const NoGil no_gil;
    return store.put(name, input->array(), options);
  }
  const auto draft =
      draft_converted(store, name, source, dtype ? *dtype : held_dtype(source).value(), options);
  const NoGil no_gil;
  return draft->publish();
}

PyView put(const Store& store, std::string_view name, py::handle array, py::handle dtype, bool replace,
           bool live, py::handle lifetime) {
  const PutOptions options = read_put_options(replace, live, lifetime);
  Source source = read_source(array);
  const auto wanted = dtype.is_none() ? std::nullopt : std::optional(dtype_from_object(dtype));
  View view = put_source(store, name, std::move(source), wanted, options);
  const std::uint64_t bytes_copied = view.size_bytes();
  return PyView(std::move(view), store.socket(), bytes_copied);
}

// "F": first index fastest, as NumPy means it.
std::vector<std::int64_t> strides_of_order(std::span<const std::int64_t> shape, py::handle order) {
  const bool fortran = py::isinstance<py::str>(order) && order.cast<std::string>() == "F";
  if (!fortran && !(py::isinstance<py::str>(order) && order.cast<std::string>() == "C")) {
    throw InvalidArgumentError("order is \"C\" (last index fastest) or \"F\" (first index fastest), not " +
                               py::repr(order).cast<std::string>());
  }
  if (!fortran || shape.size() > kMaxDims) return {};
  const std::vector<std::int64_t> reversed(shape.rbegin(), shape.rend());
  const Strides strides = c_strides(reversed);
  return {strides.span().rbegin(), strides.span().rend()};
}

PyBuild build(const Store& store, std::string_view name, py::handle shape, py::handle dtype, py::handle order,
              py::handle strides, bool replace, bool live, py::handle lifetime) {
  const PutOptions options = read_put_options(replace, live, lifetime);
  const std::vector<std::int64_t> lengths = read_shape(shape);
  const DType element = dtype_from_object(dtype);
  std::vector<std::int64_t> steps = strides_of_order(lengths, order);
  if (!strides.is_none()) {
    if (!steps.empty()) {
      throw InvalidArgumentError("order=\"F\" and strides both say how the elements lie: give one of them");
    }
    steps = read_shape(strides);
  }
  const bool in_order = strides.is_none() && steps.empty();
  std::shared_ptr<Draft> draft;
  {
    const NoGil no_gil;
    draft = std::make_shared<Draft>(in_order ? store.build(name, element, lengths, options)
                                             : store.build(name, element, lengths, steps, options));
  }
  return PyBuild(std::move(draft), store.socket());
}

py::object info(const Store& store, std::string_view name) {
  TensorInfo info;
  {
    const NoGil no_gil;
    info = store.info(name);
  }
  return to_record(info);
}

// A list of records of what `ask` returns, without the GIL.
template <class Ask>
py::list records_of(Ask&& ask) {
  decltype(ask()) found;
  {
    const NoGil no_gil;
    found = ask();
  }
  py::list records;
  for (const auto& one : found) records.append(to_record(one));
  return records;
}

py::list holders(const Store& store, std::optional<std::string_view> name) {
  return records_of([&] { return name ? store.holders(*name) : store.holders(); });
}

py::list holders_of_all(const Store& store, std::string_view prefix) {
  return records_of([&] { return store.holders_of_all(prefix); });
}

py::list users(const Store& store) {
  return records_of([&] { return store.users(); });
}

py::list waiters(const Store& store) {
  return records_of([&] { return store.waiters(); });
}

py::object stats(const Store& store) {
  StoreStats stats;
  {
    const NoGil no_gil;
    stats = store.stats();
  }
  return to_record(stats, store.client_stats());
}

}  // namespace

void register_store(py::module_& module) {
  using py::arg;
  using WithoutGil = py::call_guard<NoGil>;

  py::class_<Store>(
      module, "Store",
      R"(A connection to a tensord daemon, and the mapping of its names to views. Made by connect().

store["a/b"] attaches, `in` asks, `del` deletes, iteration gives the names, sorted.

Owns     its connection; views keep their own, so the store may be closed or collected before them.
Threads  any; requests to the daemon are one at a time and release the GIL.
Forks    usable on both sides of os.fork(): each side connects anew on first need.
Raises   ConnectionLostError once the daemon is gone or the store is closed; views stay readable.)")
      .def("attach", &attach, arg("name"), arg("mode") = "r", py::kw_only(), arg("populate") = false,
           R"(Attaches to a tensor by name, without a copy; without the daemon once its segment is mapped.

mode      "r" reads; "r+" writes a live tensor in place.
populate  map all its pages into this process now, rather than one by one as they are first touched;
          not those of the private mapping that torch() of a sealed tensor makes.
Raises NotFoundError (the text offers near names), PermissionDeniedError ("r+" of a sealed tensor).)")
      .def("wait", &wait_for_name, arg("name"), py::kw_only(), arg("timeout") = py::none(), arg("mode") = "r",
           R"(Attaches to a tensor by name, as soon as somebody has published one; at once if it is there.

timeout in seconds; None: no limit. Sleeps without the GIL; Ctrl-C ends it. In asyncio: wait_async().
Raises TimeoutError (the text says who is building it, or that nobody is, and offers near names),
PermissionDeniedError ("r+" of a sealed tensor), ConnectionLostError.)")
      .def("put", &put, arg("name"), arg("array"), py::kw_only(), arg("dtype") = py::none(),
           arg("replace") = false, arg("live") = false, arg("lifetime") = "store",
           R"(Puts a tensor under a name: exactly one copy, straight into shared memory. Returns a view of it.

array     an ndarray, torch.Tensor (detached), View, any DLPack or buffer producer, a number, a list; 0 to
          16 dimensions. Strides are kept where they are positive and leave no gaps: C order, Fortran
          order, any permutation. Other elements (slices, reversed, broadcast) are packed in that order.
dtype     what to convert to while copying, as array.astype(dtype) or tensor.to(dtype), with no temporary.
          None: as it is.
replace   take the name over; who has the old tensor attached keeps its bytes.
live      may be changed in place by who attaches it "r+"; otherwise it is sealed.
lifetime  "store": until deleted; "client": until this connection ends.
Raises AlreadyExistsError, OutOfSpaceError, UnsupportedTypeError, InvalidArgumentError, LimitReachedError.)")
      .def("build", &build, arg("name"), arg("shape"), arg("dtype"), py::kw_only(), arg("order") = "C",
           arg("strides") = py::none(), arg("replace") = false, arg("live") = false,
           arg("lifetime") = "store",
           R"(Makes a tensor in place, without any copy: `with store.build(name, shape, dtype) as view:`.

order    "C", or "F": first index fastest.
strides  instead of an order: elements, not bytes, from one index to the next, along each dimension;
         positive, and no two elements at one place.
Hidden until the block ends, published whole then, dropped if the block raises. See Build.)")
      .def("delete", &Store::remove, arg("name"), WithoutGil(),
           "Takes the name away at once; the bytes go with the last view. Raises NotFoundError.")
      .def("names", &Store::names, arg("prefix") = "", WithoutGil(),
           "The names that begin with `prefix`, sorted.")
      .def("info", &info, arg("name"), "TensorInfo of a name, without attaching. Raises NotFoundError.")
      .def("holders", &holders, arg("name") = py::none(),
           R"(Who holds the memory of a tensor, and of those that had its name before and are dying: Holders.

name  None: who holds memory that no name leads to: the dying, what is being built, and spares; of all
      namespaces that this user may read.
Raises NotFoundError (there is neither), PermissionDeniedError (root and the daemon's user may always ask).)")
      .def("holders_of_all", &holders_of_all, arg("prefix") = "",
           R"(Who holds anything whose name begins, or began, with `prefix`: Holders.

Of all namespaces that this user may read. Every tensor of the store is looked at.)")
      .def("stats", &stats, "StoreStats: the store's figures, and what this Store object copied.")
      .def("users", &users,
           R"(What each user has of the store, and may have, ordered by uid: UserStats.

All who have anything, for root and the daemon's user; for others only themselves.)")
      .def("waiters", &waiters,
           R"(Who sleeps until a name is published or a live tensor changes: Waiters.

Of other users, only what this one may read. Of one connection the first 7 threads that sleep at a time
can be seen.)")
      .def("shutdown", &Store::shutdown, WithoutGil(),
           "Ends the daemon, and returns when it has hung up: all tensors go. Its own user and root may.")
      .def("restart_daemon", &Store::restart_daemon, WithoutGil(),
           R"(Has the daemon end and be followed by one of the program that is installed by now: an upgrade.

Returns when that serves. Tensors, views and connections stay; requests wait meanwhile. The daemon's own user
and root may.
Raises PermissionDeniedError, InvalidArgumentError (nobody keeps this daemon's store: it was not started by
``tensorctl start``, ``tensord --keep`` or systemd), TimeoutError.)")
      .def("close", &Store::close, WithoutGil(), "Lets go of the connection now. Views stay valid.")
      .def_property_readonly("socket", &Store::socket, "The path of the daemon's socket.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__",
           [](Store& self, const py::args&) {
             const NoGil no_gil;
             self.close();
           })
      .def("__getitem__", &get_item, arg("name"), "attach(name)")
      .def("__delitem__", &Store::remove, arg("name"), WithoutGil(), "delete(name)")
      .def("__contains__", &Store::contains, arg("name"), WithoutGil())
      .def(
          "__contains__", [](const Store&, const py::object&) { return false; }, arg("name"))
      .def("__iter__",
           [](const Store& self) {
             std::vector<std::string> names;
             {
               const NoGil no_gil;
               names = self.names();
             }
             return py::iter(py::cast(names));
           })
      .def("__len__",
           [](const Store& self) {
             const NoGil no_gil;
             return self.names().size();
           })
      .def(
          "__bool__", [](const Store&) { return true; }, "True, also when it is empty.")
      .def("__repr__", [](const Store& self) { return "<tensord.Store " + self.socket() + ">"; });

  module.def("connect", &connect, arg("socket") = py::none(), arg("start") = true,
             R"(Connects to the daemon, and starts one for this user when none is running.

socket  the daemon's socket; None: $TENSORD_SOCKET if set, else the system's daemon, else this user's.
start   whether to start a daemon; two callers at once start one.
Raises ConnectionLostError (none is running), VersionMismatchError, LimitReachedError.)");
  module.def("set_daemon_path", &set_daemon_path, arg("path"), "The program that connect(start=True) runs.");
}

}  // namespace tensord::python
