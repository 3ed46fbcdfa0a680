// Three kinds of memory leave from here: the shared mapping (numpy(), buffers, live "r+" tensors),
// a private copy-on-write mapping (sealed tensors for consumers that know no read-only memory:
// torch writes through it, and reaches nobody), and real copies, only where "clone" or "copy" is said.
#include "view.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "dlpack.hpp"
#include "dtypes.hpp"
#include "errors.hpp"
#include "indexing.hpp"
#include "no_gil.hpp"
#include "numpy_array.hpp"
#include "private_memory.hpp"
#include "records.hpp"
#include "shape_tuple.hpp"
#include "writing.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

// Private memory for a copy, and its layout.
struct PrivateCopy {
  Strides strides;
  PrivateMemory memory;

  explicit PrivateCopy(const View& view)
      : strides(packed_strides(view.shape(), view.strides())),
        memory(make_private_memory(view.size_bytes())) {}
};

// The torch dtype of elements that go to torch as bytes; None for others. To be asked before copying.
py::object dtype_of_bytes(DType dtype) {
  return goes_to_torch_as_bytes(dtype) ? torch_dtype(dtype) : py::object(py::none());
}

// The function of torch that takes a capsule over, looked up once and never released. torch.from_dlpack takes
// other objects as well, and to learn that a capsule is none of them costs as much as the tensor; it ends in
// the one that is preferred here.
py::handle taker_of_capsules() {
  static PyObject* taker = nullptr;
  if (taker == nullptr) {
    const py::module_ torch = py::module_::import("torch");
    py::object found = py::getattr(torch.attr("_C"), "_from_dlpack", py::none());
    if (found.is_none()) found = torch.attr("from_dlpack");
    taker = found.release().ptr();
  }
  return taker;
}

py::object to_torch(Elements elements, std::shared_ptr<void> owner, const py::object& bytes_as) {
  const py::handle taker = taker_of_capsules();
  if (!bytes_as.is_none()) elements.dtype = kUInt8;
  const py::object capsule = dlpack::export_legacy(elements, std::move(owner));
  const auto tensor = py::reinterpret_steal<py::object>(PyObject_CallOneArg(taker.ptr(), capsule.ptr()));
  if (!tensor) throw py::error_already_set();
  return bytes_as.is_none() ? tensor : tensor.attr("view")(bytes_as);
}

void clone_without_gil(const View& view, std::byte* destination, std::chrono::nanoseconds timeout) {
  const NoGil no_gil;
  view.clone_to({destination, view.size_bytes()}, timeout);
}

}  // namespace

PyView::PyView(View view, std::string socket, std::uint64_t bytes_copied)
    : lease_(make_lease(std::move(view))), socket_(std::move(socket)), bytes_copied_(bytes_copied) {}

PyView::PyView(std::shared_ptr<Draft> draft, std::string socket)
    : lease_(make_lease(std::move(draft))), socket_(std::move(socket)) {}

const py::object& PyView::lease() const {
  if (!lease_) throw InvalidArgumentError("this view is closed: attach the tensor again");
  return lease_;
}

const View& PyView::published() const {
  const LeaseContent& content = this->content();
  if (content.draft) {
    throw InvalidArgumentError("the tensor " + quoted(content.draft->builder().name()) +
                               " is not published yet: leave the `with store.build(...)` block first");
  }
  return content.view;
}

void PyView::publish(View view) {
  if (draft_array_ && view.kind() == Kind::kSealed) {
    // The array that the block wrote through: from now on as read-only as every other of this tensor.
    draft_array_.attr("setflags")(py::arg("write") = false);
  }
  draft_array_ = {};
  if (lease_) lease_ = make_lease(std::move(view));
}

void PyView::close() {
  lease_ = {};
  private_.reset();
  draft_array_ = {};
}

// ---- NumPy ------------------------------------------------------------------------------------

py::object PyView::numpy() {
  if (draft_array_) return draft_array_;
  py::object array = array_over(elements(), lease());
  if (content().draft) draft_array_ = array;
  return array;
}

py::object PyView::array(py::object dtype, py::object copy) {
  const bool must_copy = !copy.is_none() && copy.cast<bool>();
  const bool must_share = !copy.is_none() && !must_copy;
  const bool same_dtype = dtype.is_none() || numpy_descr(elements().dtype).equal(py::dtype::from_args(dtype));
  if (must_share && !same_dtype) {
    throw WouldCopyError("copy=False, but only a copy can turn " + std::string(dtype_name(elements().dtype)) +
                         " into " + py::str(dtype).cast<std::string>());
  }
  if (!same_dtype && is_stand_in(elements().dtype)) {
    const auto name = std::string(dtype_name(elements().dtype));
    throw UnsupportedTypeError("NumPy has no " + name + " here, so it would convert the bits to " +
                               py::str(dtype).cast<std::string>() +
                               ", not the numbers: install the package ml_dtypes if it has " + name +
                               ", or convert in torch (view.torch())");
  }
  py::object array = must_copy && same_dtype ? clone(false) : numpy();
  return same_dtype ? array : array.attr("astype")(dtype);
}

// ---- sub-views --------------------------------------------------------------------------------

PyView PyView::item(py::handle key) const {
  const View& view = published();
  const SubLayout layout = index_layout(view.shape(), view.strides(), key);
  return as_strided(layout.shape, layout.strides, layout.offset);
}

PyView PyView::as_strided(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                          std::int64_t offset) const {
  return PyView(published().as_strided(shape, strides, offset), socket_);
}

std::int64_t PyView::length() const {
  const Elements elements = this->elements();
  if (elements.ndim() == 0)
    throw py::type_error("a view of 0 dimensions has no length, and nothing to iterate over");
  return elements.shape.front();
}

// ---- torch and DLPack -------------------------------------------------------------------------

PyView::Shared PyView::share() {
  const LeaseContent& content = this->content();
  Elements elements = content.elements();
  if (elements.writable) return {elements, content.share()};
  if (content.view.kind() == Kind::kLive) {
    throw WouldCopyError(
        "the live tensor " + quoted(content.view.name()) +
        " is attached \"r\", and torch and DLPack know no read-only memory that others write: attach "
        "it with mode=\"r+\" to share it, or take a copy with view.clone()");
  }
  if (!private_) private_ = content.view.map_private();
  elements.data = private_.get();
  elements.writable = true;
  return {elements, private_};
}

PyView::Shared PyView::share_copy(std::chrono::nanoseconds timeout) {
  const py::object lease = this->lease();
  const View& view = published();
  auto copy = std::make_shared<PrivateCopy>(view);
  clone_without_gil(view, copy->memory.get(), timeout);
  bytes_copied_ += view.size_bytes();
  Elements elements = lease_content(lease).elements();
  elements.data = copy->memory.get();
  elements.writable = true;
  elements.strides = copy->strides;
  return {elements, std::move(copy)};
}

py::object PyView::torch() {
  const py::object bytes_as = dtype_of_bytes(elements().dtype);
  Shared shared = share();
  return to_torch(shared.elements, std::move(shared.owner), bytes_as);
}

py::object PyView::clone(bool torch, std::chrono::nanoseconds timeout) {
  if (torch) {
    py::module_::import("torch");  // fails before there is a copy
    const py::object bytes_as = dtype_of_bytes(elements().dtype);
    Shared copy = share_copy(timeout);
    return to_torch(copy.elements, std::move(copy.owner), bytes_as);
  }
  const py::object lease = this->lease();  // another thread may close this view while we copy
  const View& view = published();
  NewArray copy = new_array(view.dtype(), view.shape(), packed_strides(view.shape(), view.strides()));
  clone_without_gil(view, copy.data, timeout);
  bytes_copied_ += view.size_bytes();
  return std::move(copy.array);
}

py::object PyView::dlpack(py::object stream, py::object max_version, py::object dl_device, py::object copy) {
  if (!stream.is_none()) {
    throw InvalidArgumentError("stream is for devices with queues; a tensor of the CPU takes None");
  }
  if (!dl_device.is_none()) {
    const auto device = dl_device.cast<std::pair<std::int32_t, std::int32_t>>();
    if (device.first != dlpack::kDeviceCpu) {
      throw WouldCopyError("the tensor is in the CPU's memory; only a copy could reach DLPack device type " +
                           std::to_string(device.first));
    }
  }
  const bool must_copy = !copy.is_none() && copy.cast<bool>();
  const bool versioned = !max_version.is_none() && max_version.cast<std::pair<int, int>>().first >= 1;
  Shared shared = must_copy ? share_copy(kReadTimeout) : share();
  if (!versioned) return dlpack::export_legacy(shared.elements, std::move(shared.owner));
  std::uint64_t flags = 0;
  if (must_copy) {
    flags = dlpack::kFlagCopied;
  } else if (!elements().writable) {
    flags =
        dlpack::kFlagReadOnly;  // sealed: who heeds the flag does not write, who does not writes privately
  }
  return dlpack::export_versioned(shared.elements, std::move(shared.owner), flags);
}

// ---- what the tensor is -----------------------------------------------------------------------

py::str PyView::name() const {
  const LeaseContent& content = this->content();
  const std::string_view name = content.draft ? content.draft->builder().name() : content.view.name();
  return py::str(name.data(), name.size());
}

py::str PyView::dtype() const { return dtype_str(elements().dtype); }

const char* PyView::kind() const {
  const LeaseContent& content = this->content();
  const Kind kind = content.draft ? content.draft->builder().kind() : content.view.kind();
  return kind == Kind::kLive ? "live" : "sealed";
}

const char* PyView::mode() const { return elements().writable ? "r+" : "r"; }
py::tuple PyView::shape() const { return shape_tuple(elements().shape); }
py::tuple PyView::strides() const { return shape_tuple(elements().strides); }
std::int64_t PyView::size() const { return count_elements(elements().shape); }
Location PyView::location() const { return published().location(); }

std::string PyView::repr() const {
  if (closed()) return "<tensord.View closed>";
  return "<tensord.View " + quoted(name().cast<std::string>()) + " " + dtype().cast<std::string>() + " " +
         py::str(shape()).cast<std::string>() + " " + kind() + " " + mode() +
         (content().draft ? ", not published>" : ">");
}

// ---- registration -----------------------------------------------------------------------------

namespace {

// A buffer belongs to the lease, so that it outlives the view.
int get_buffer(PyObject* self, Py_buffer* buffer, int flags) {
  buffer->obj = nullptr;
  try {
    return PyObject_GetBuffer(py::handle(self).cast<PyView&>().lease().ptr(), buffer, flags);
  } catch (const Error& error) {
    set_python_error(error);
    return -1;
  }
}

void add_buffer_protocol(PyHeapTypeObject* type) {
  type->as_buffer.bf_getbuffer = get_buffer;
  type->ht_type.tp_as_buffer = &type->as_buffer;
}

}  // namespace

void register_view(py::module_& module) {
  constexpr double kReadTimeout_s = std::chrono::duration<double>(kReadTimeout).count();
  using py::arg;
  py::class_<PyView>(module, "View", py::custom_type_setup(add_buffer_protocol),
                     R"(A tensor, attached: what store.attach(), store.put() and store.build() return.

Owns     one pin: the tensor's bytes stay in place while the view, or any array or tensor made from
         it, lives; whatever is deleted, replaced or closed meanwhile.
Threads  give each thread its own view; arrays and tensors may be dropped on any thread.
Raises   InvalidArgumentError from everything but `closed` once it is closed.

It offers the buffer protocol, __array__ and __dlpack__, so numpy.asarray(view),
torch.from_dlpack(view), memoryview(view) share its memory too. It pickles by name: the receiving
process attaches to the same memory, or gets NotFoundError if the tensor was deleted or replaced on the way.)")
      .def("numpy", &PyView::numpy,
           R"(The tensor as an ndarray of `shape`, over the shared memory, without a copy.

Read-only (writeable=False) unless `mode` is "r+": the kernel forbids writes, so code that ignores
the flag (torch.from_numpy) dies of SIGSEGV when it writes: use torch() for a torch tensor.
Types that NumPy lacks come as those of ml_dtypes; without it, as unsigned integers of the same width,
whose dtype.metadata["tensord"] names the true dtype: they are bits, not numbers.)")
      .def("torch", &PyView::torch, R"(The tensor as a torch.Tensor, without a copy.

Sealed: a private copy-on-write mapping, one per view: it reads the shared pages, and what is
written to it is seen by the tensors of this view only. Live, mode "r+": the shared memory itself.
Raises WouldCopyError for a live tensor of mode "r".)")
      .def(
          "clone",
          [](PyView& self, bool torch, py::handle timeout) {
            return self.clone(torch, read_timeout(timeout));
          },
          arg("torch") = false, py::kw_only(), arg("timeout") = kReadTimeout_s,
          R"(A private copy of the tensor, exactly one copy: an ndarray, or a torch.Tensor with torch=True.

Writable, and independent of the store. Its strides are the view's, unless those leave gaps: then the
elements are packed, in the same order. The GIL is released while copying.
Of a live tensor all of one version, as far as its writers use writing(): see read(), which gives its number.
timeout in seconds; None: no limit. Raises TimeoutError (a writer does not end), TornWriteError.)")
      .def(
          "read",
          [](PyView& self, py::handle out, py::handle timeout) {
            return self.read(out, read_timeout(timeout));
          },
          arg("out") = py::none(), py::kw_only(), arg("timeout") = kReadTimeout_s,
          R"(One whole version of the tensor and its number: Snapshot(array, version). Exactly one copy, out.

Never of two versions, as far as writers use writing(); waits for a writer who is at it. Sealed tensors are
at version 0 for ever. The array is C-contiguous, writable, and independent of the store.
out      a writable C-contiguous ndarray of the same dtype and shape, which becomes the array: a loop that
         reads version after version into it allocates nothing. Its contents are undefined if read() raises.
timeout  seconds; None: no limit.
Releases the GIL; Ctrl-C ends it. Raises TimeoutError, TornWriteError, InvalidArgumentError (another `out`).)")
      .def_property_readonly(
          "version", [](const PyView& self) { return self.published().version(); },
          "How often a live tensor was written by now, by writers that use writing(); 0 for sealed ones.")
      .def(
          "wait", &wait_for_version, arg("after"), py::kw_only(), arg("timeout") = py::none(),
          R"(Waits for a whole version other than `after`, and returns it. timeout in seconds; None: no limit.

Releases the GIL; Ctrl-C ends it. Raises TimeoutError, TornWriteError; InvalidArgumentError if sealed.)")
      .def("writing", &begin_writing, py::kw_only(), arg("timeout") = py::none(), arg("repair") = false,
           R"(`with view.writing():` changes a live tensor: whole for whoever clones it or waits for it.

Entering waits while another writer is at it, `timeout` seconds at most. `repair` also takes a torn
tensor: write all of it then. Raises PermissionDeniedError unless mode "r+", TimeoutError, TornWriteError.)")
      .def(
          "__getitem__", &PyView::item, arg("key"),
          R"(A sub-view: whole numbers, slices with positive steps, ... and None (a new dimension), as in NumPy.

Without a copy, with a pin of its own: it stays valid when this view is closed. It is a view as any
other, of the same name, version and location, and pickles too. A single element is a view of 0
dimensions. torch() of a sealed sub-view maps privately anew: it sees nothing of what was written to
the torch() of the whole.
Raises OutOfRangeError (an IndexError); WouldCopyError for negative steps, masks and arrays of indices.)")
      .def("__len__", &PyView::length, "Elements of the first dimension. Raises TypeError if there is none.")
      .def(
          "__iter__",
          [](const py::object& self) {
            static_cast<void>(self.cast<const PyView&>().length());
            return py::reinterpret_steal<py::object>(PySeqIter_New(self.ptr()));
          },
          "Sub-views along the first dimension.")
      .def(
          "__contains__", [](PyView& self, const py::object& value) { return self.numpy().contains(value); },
          arg("value"), "Whether an element equals `value`, as NumPy finds out.")
      .def(
          "__bool__", [](PyView& self) { return py::bool_(self.numpy()); },
          "Of one element: whether it is not zero. Raises ValueError for more elements, as NumPy does.")
      .def(
          "as_strided",
          [](const PyView& self, py::handle shape, py::handle strides, std::int64_t offset) {
            return self.as_strided(read_shape(shape), read_shape(strides), offset);
          },
          arg("shape"), arg("strides"), arg("offset") = 0,
          R"(A sub-view of any layout within the bytes of this view; torch's as_strided.

shape    elements along each dimension.
strides  elements, not bytes, from one index to the next; none negative, and 0 to repeat.
offset   elements from the first one of this view.
Raises InvalidArgumentError for a layout that reaches outside.)")
      .def("close", &PyView::close, R"(Lets go of the tensor now, rather than when the view is collected.

Arrays and tensors made from it stay valid, and hold the tensor until the last of them is gone.)")
      .def_property_readonly("closed", &PyView::closed, "Whether close() was called.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](PyView& self, const py::args&) { self.close(); })
      .def("__array__", &PyView::array, arg("dtype") = py::none(), arg("copy") = py::none(),
           "NumPy's protocol: numpy(), or a copy where `dtype` or `copy` ask for one.")
      .def("__dlpack__", &PyView::dlpack, py::kw_only(), arg("stream") = py::none(),
           arg("max_version") = py::none(), arg("dl_device") = py::none(), arg("copy") = py::none(),
           R"(DLPack's protocol: a capsule of the memory that torch() uses; of a copy with copy=True.

With max_version=(1, 0) or above, a sealed tensor carries the read-only flag.
Raises WouldCopyError (a BufferError) for another device, or for a live tensor of mode "r".)")
      .def(
          "__dlpack_device__",
          [](const PyView& self) {
            static_cast<void>(self.lease());
            return py::make_tuple(dlpack::kDeviceCpu, 0);
          },
          "DLPack's protocol: (1, 0), the CPU.")
      .def_property_readonly("name", &PyView::name,
                             "The name it was attached by; a replacement may have it by now.")
      .def_property_readonly("dtype", &PyView::dtype,
                             R"(The element type's name: "float32", "bfloat16", ...)")
      .def_property_readonly("kind", &PyView::kind, R"("sealed" (its bytes never change) or "live".)")
      .def_property_readonly("mode", &PyView::mode, R"("r", or "r+" for a view that may be written.)")
      .def_property_readonly("shape", &PyView::shape, "Elements along each dimension.")
      .def_property_readonly(
          "strides", &PyView::strides,
          "Elements, not bytes, from one index to the next, along each dimension; as in torch.")
      .def_property_readonly(
          "ndim", [](const PyView& self) { return self.elements().ndim(); }, "How many dimensions: 0 to 16.")
      .def_property_readonly("size", &PyView::size, "How many elements.")
      .def_property_readonly(
          "nbytes", [](const PyView& self) { return self.elements().size_bytes; }, "Bytes of all elements.")
      .def_property_readonly(
          "itemsize", [](const PyView& self) { return self.elements().dtype.itemsize(); },
          "Bytes of one element.")
      .def_property_readonly(
          "location", [](const PyView& self) { return to_record(self.location()); },
          "Location(segment, inode, offset): equal in two processes that share the same memory.")
      .def_property_readonly(
          "generation", [](const PyView& self) { return self.published().generation(); },
          "A number of the tensor's own: no other that ever was in this store has it, of whatever name.")
      .def_property_readonly("socket", &PyView::socket, "The path of the socket of the store it is from.")
      .def_property_readonly("bytes_copied", &PyView::bytes_copied,
                             "Bytes copied to make this view (by put) and by its clone(); 0 when attached.")
      .def("__repr__", &PyView::repr);
}

}  // namespace tensord::python
