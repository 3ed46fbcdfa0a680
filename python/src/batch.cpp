// Arrays that need no conversion go through Store::put_many as they are. As soon as one of them needs it,
// each is made as a draft of its own, and the drafts are published together: the same for who looks on, at
// one more round trip for each.
#include "batch.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tensord/store.hpp>

#include "arguments.hpp"
#include "array_input.hpp"
#include "build.hpp"
#include "cast.hpp"
#include "converted.hpp"
#include "draft.hpp"
#include "dtypes.hpp"
#include "no_gil.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

using Drafts = std::vector<std::shared_ptr<Draft>>;

// Which of several tensors an error is about.
std::string about(const std::string& name, const Error& error) { return "'" + name + "': " + error.what(); }

// The same for one that is a Python exception already; Python 3.10 has no notes.
void add_note(const std::string& name, const py::error_already_set& error) {
  if (py::hasattr(error.value(), "add_note")) error.value().attr("add_note")("This is about '" + name + "'.");
}

std::string read_name(py::handle object, const char* function) {
  if (py::isinstance<py::str>(object)) return object.cast<std::string>();
  throw InvalidArgumentError(std::string(function) + ": names are str, not " +
                             py::repr(object).cast<std::string>());
}

struct NamedObject {
  std::string name;
  py::object object;
};

std::vector<NamedObject> read_mapping(py::handle mapping, const char* function, const char* of_what) {
  if (!py::hasattr(mapping, "items")) {
    throw InvalidArgumentError(std::string(function) + " takes a mapping of names to " + of_what +
                               ", not a " + Py_TYPE(mapping.ptr())->tp_name);
  }
  std::vector<NamedObject> named;
  for (const py::handle item : mapping.attr("items")()) {
    const auto pair = py::reinterpret_borrow<py::tuple>(item);
    named.push_back({read_name(pair[0], function), pair[1]});
  }
  return named;
}

Overlap read_overlap(py::handle object) {
  const std::string text = py::isinstance<py::str>(object) ? object.cast<std::string>() : "";
  if (text == "separate") return Overlap::kSeparate;
  if (text == "keep") return Overlap::kKeep;
  throw InvalidArgumentError(
      "overlap is \"separate\" (each gets a copy of its own) or \"keep\" (arrays that share memory share it "
      "in the store), not " +
      py::repr(object).cast<std::string>());
}

// ---- put_many ---------------------------------------------------------------------------------

struct Item {
  std::string name;
  Source source;
  DType dtype{};                    // to be stored
  std::optional<ArrayInput> input;  // nothing if the elements must be converted
};

Item read_item(const NamedObject& named, std::optional<DType> wanted, Overlap overlap) {
  try {
    Item item{named.name, read_source(named.object), {}, {}};
    // What shares memory with others is taken as it is.
    if (overlap == Overlap::kSeparate && live_view(item.source)) item.source = whole_copy(item.source);
    const bool same = !wanted || held_dtype(item.source) == wanted;
    if (same) item.input = read_elements(item.source);
    item.dtype = item.input ? item.input->dtype : wanted ? *wanted : held_dtype(item.source).value();
    return item;
  } catch (const Error& error) {
    throw_error(error.code(), about(named.name, error));
  } catch (const py::error_already_set& error) {
    add_note(named.name, error);
    throw;
  }
}

std::vector<View> put_as_they_are(const Store& store, const std::vector<Item>& items,
                                  const PutOptions& options, Overlap overlap) {
  std::vector<PutItem> put;
  put.reserve(items.size());
  for (const Item& item : items) put.push_back({item.name, item.input->array()});
  const NoGil no_gil;
  return store.put_many(put, options, overlap);
}

std::vector<View> put_converted(const Store& store, const std::vector<Item>& items,
                                const PutOptions& options) {
  Drafts drafts;
  drafts.reserve(items.size());
  for (const Item& item : items) {
    try {
      drafts.push_back(draft_converted(store, item.name, item.source, item.dtype, options));
    } catch (const py::error_already_set& error) {
      add_note(item.name, error);
      throw;
    }
  }
  const NoGil no_gil;
  return Draft::publish_many(store, drafts);
}

py::dict put_many(const Store& store, py::handle arrays, py::handle dtype, py::handle overlap, bool replace,
                  bool live, py::handle lifetime) {
  const PutOptions options = read_put_options(replace, live, lifetime);
  const Overlap kept = read_overlap(overlap);
  const std::optional<DType> wanted =
      dtype.is_none() ? std::nullopt : std::optional(dtype_from_object(dtype));
  std::vector<Item> items;
  bool as_they_are = true;
  for (const NamedObject& named : read_mapping(arrays, "put_many", "arrays")) {
    items.push_back(read_item(named, wanted, kept));
    as_they_are = as_they_are && items.back().input;
    if (kept == Overlap::kKeep && !items.back().input) {
      throw InvalidArgumentError("'" + named.name +
                                 "' must be converted, and then it shares memory with no other: convert it "
                                 "before, or say overlap=\"separate\"");
    }
  }
  std::vector<View> views =
      as_they_are ? put_as_they_are(store, items, options, kept) : put_converted(store, items, options);
  py::dict result;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t i = 0; i < views.size(); ++i) {
    // Of tensors at one place, tied weights, the first was copied and the others came with it.
    const Location location = views[i].location();
    const bool copied = seen.insert({location.segment, location.offset_bytes}).second;
    const std::uint64_t bytes_copied = copied ? views[i].size_bytes() : 0;
    result[py::str(items[i].name)] = py::cast(PyView(std::move(views[i]), store.socket(), bytes_copied));
  }
  return result;
}

// ---- attach_many ------------------------------------------------------------------------------

py::dict attach_many(const Store& store, py::handle names, py::handle mode) {
  if (PyUnicode_Check(names.ptr()) != 0 || !py::isinstance<py::iterable>(names)) {
    throw InvalidArgumentError("attach_many takes several names, not " + py::repr(names).cast<std::string>());
  }
  const Mode read = read_mode(mode);
  std::vector<std::string> wanted;
  for (const py::handle name : names) wanted.push_back(read_name(name, "attach_many"));
  const std::vector<std::string_view> texts(wanted.begin(), wanted.end());
  std::vector<View> views;
  {
    const NoGil no_gil;
    views = store.attach_many(texts, read);
  }
  py::dict result;
  for (std::size_t i = 0; i < views.size(); ++i) {
    result[py::str(wanted[i])] = py::cast(PyView(std::move(views[i]), store.socket()));
  }
  return result;
}

// ---- build_many -------------------------------------------------------------------------------

class PyBuildMany {
 public:
  // REQUIRES: as many names as drafts.
  PyBuildMany(const Store& store, std::vector<std::string> names, Drafts drafts)
      : store_(store), names_(std::move(names)), drafts_(std::move(drafts)) {}

  py::dict enter() {
    if (entered_) throw InvalidArgumentError("a BuildMany is entered once: call store.build_many(...) again");
    entered_ = true;
    py::dict views;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      views_.push_back(py::cast(PyView(drafts_[i], store_.socket())));
      views[py::str(names_[i])] = views_.back();
    }
    return views;
  }

  // As end_block().
  void exit(py::handle exception_type) {
    if (!entered_ || std::exchange(ended_, true)) {
      throw InvalidArgumentError("this BuildMany was never entered, or has ended");
    }
    const Drafts drafts = std::exchange(drafts_, {});
    const std::vector<py::object> views = std::exchange(views_, {});
    end_block(exception_type, views, [&] { return Draft::publish_many(store_, drafts); });
  }

 private:
  Store store_;
  std::vector<std::string> names_;
  Drafts drafts_;
  std::vector<py::object> views_;
  bool entered_ = false;
  bool ended_ = false;
};

PyBuildMany build_many(const Store& store, py::handle specs, bool replace, bool live, py::handle lifetime) {
  const PutOptions options = read_put_options(replace, live, lifetime);
  std::vector<std::string> names;
  Drafts drafts;
  for (const NamedObject& named : read_mapping(specs, "build_many", "(shape, dtype)")) {
    if (!py::isinstance<py::tuple>(named.object) || py::len(named.object) != 2) {
      throw InvalidArgumentError("'" + named.name + "' is built as (shape, dtype), not as " +
                                 py::repr(named.object).cast<std::string>());
    }
    const auto spec = py::reinterpret_borrow<py::tuple>(named.object);
    std::vector<std::int64_t> shape;
    DType dtype;
    try {
      shape = read_shape(spec[0]);
      dtype = dtype_from_object(spec[1]);
    } catch (const Error& error) {
      throw_error(error.code(), about(named.name, error));
    }
    const NoGil no_gil;
    drafts.push_back(std::make_shared<Draft>(store.build(named.name, dtype, shape, options)));
    names.push_back(named.name);
  }
  return {store, std::move(names), std::move(drafts)};
}

// A method of a class that is registered already.
template <class Function, class... Extra>
void add_method(py::handle of_class, const char* name, Function&& function, const Extra&... extra) {
  of_class.attr(name) =
      py::cpp_function(std::forward<Function>(function), py::name(name), py::is_method(of_class), extra...);
}

}  // namespace

void register_batches(py::module_& module) {
  using py::arg;
  const py::object store = module.attr("Store");

  add_method(store, "put_many", &put_many, arg("arrays"), py::kw_only(), arg("dtype") = py::none(),
             arg("overlap") = "separate", arg("replace") = false, arg("live") = false,
             arg("lifetime") = "store",
             R"(Puts several tensors, published together or not at all. Returns their views, by name.

arrays    a mapping of names to what put() takes. Exactly one copy of each, in; about one round trip for
          all of them, one more for each if any of them must be converted.
overlap   "separate": each gets memory of its own. "keep": arrays that overlap in memory, as tied weights
          do, overlap in the store, too, with the strides that they have; copied once.
dtype, replace, live, lifetime: as for put().
Whoever attaches by attach_many() finds all of them or none. Raises as put(); then none was published.)");
  add_method(store, "attach_many", &attach_many, arg("names"), arg("mode") = "r",
             R"(Attaches to several tensors at one moment, without a copy. Returns their views, by name.

Of tensors that were published together, never some of one batch and some of an older one.
Raises as attach(), for the first name that fails.)");
  add_method(store, "build_many", &build_many, arg("specs"), py::kw_only(), arg("replace") = false,
             arg("live") = false, arg("lifetime") = "store",
             R"(Makes several tensors in place: `with store.build_many({name: (shape, dtype)}) as views:`.

`views` is a dict of them, by name. Hidden until the block ends, published together then, all dropped
if the block raises. See Build.)");

  py::class_<PyBuildMany>(module, "BuildMany",
                          R"(Several tensors in the making: `with store.build_many(...) as views:`.

As Build, for a dict of views that are published together or not at all.)")
      .def("__enter__", &PyBuildMany::enter)
      .def("__exit__", [](PyBuildMany& self, py::handle type, py::handle, py::handle) { self.exit(type); });
}

}  // namespace tensord::python
