// A plain C type rather than a pybind11 class: it is made on every attach, and the base of every
// array, so its cost is in the hot path.
#include "lease.hpp"

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <tensord/layout.hpp>

#include "dtypes.hpp"
#include "errors.hpp"

namespace py = pybind11;

namespace tensord::python {
namespace {

struct Lease {
  PyObject_HEAD LeaseContent content;
};

PyTypeObject* lease_type = nullptr;  // never released

py::object make(LeaseContent content) {
  auto* const lease = PyObject_New(Lease, lease_type);
  if (lease == nullptr) throw py::error_already_set();
  new (&lease->content) LeaseContent(std::move(content));
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(lease));
}

void deallocate(PyObject* self) {
  std::destroy_at(&reinterpret_cast<Lease*>(self)->content);
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

// ---- the buffer protocol ----------------------------------------------------------------------

bool lies_as_asked(const Elements& elements, int flags) {
  const auto asks_for = [&](int what) { return (flags & what) == what; };
  const bool c_order = is_contiguous(elements.shape, elements.strides);
  if (!asks_for(PyBUF_STRIDES) || asks_for(PyBUF_C_CONTIGUOUS)) return c_order;
  if (!asks_for(PyBUF_F_CONTIGUOUS) && !asks_for(PyBUF_ANY_CONTIGUOUS)) return true;
  // Fortran order is C order of the dimensions the other way round.
  const std::vector<std::int64_t> shape(elements.shape.rbegin(), elements.shape.rend());
  const std::vector<std::int64_t> strides(elements.strides.rbegin(), elements.strides.rend());
  return is_contiguous(shape, strides) || (asks_for(PyBUF_ANY_CONTIGUOUS) && c_order);
}

void fill_buffer(PyObject* self, Py_buffer* buffer, int flags) {
  const Elements elements = reinterpret_cast<Lease*>(self)->content.elements();
  if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE && !elements.writable) {
    throw WouldCopyError(
        "this tensor is read-only here, a writable buffer of it could only be a copy: attach a live "
        "tensor with mode \"r+\", or clone it");
  }
  const char* const format = buffer_format(elements.dtype);
  if (format == nullptr) {
    throw WouldCopyError("the buffer protocol has no " + std::string(dtype_name(elements.dtype)) +
                         ", only a converted copy could be given: use numpy() or torch()");
  }
  const bool wants_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
  if (!lies_as_asked(elements, flags)) {
    throw WouldCopyError(
        "the elements lie in another order than this buffer is asked for, so it could only be "
        "a copy: use numpy.ascontiguousarray(view.numpy())");
  }
  buffer->buf = elements.data;
  buffer->len = static_cast<Py_ssize_t>(elements.size_bytes);
  buffer->itemsize = static_cast<Py_ssize_t>(elements.dtype.itemsize());
  buffer->readonly = elements.writable ? 0 : 1;
  buffer->ndim = elements.ndim();
  buffer->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
  buffer->shape = nullptr;
  buffer->strides = nullptr;
  buffer->suboffsets = nullptr;
  buffer->internal = nullptr;
  if ((flags & PyBUF_ND) == PyBUF_ND && elements.ndim() != 0) {
    const auto ndim = static_cast<std::size_t>(elements.ndim());
    auto layout = std::make_unique<Py_ssize_t[]>(2 * ndim);
    for (std::size_t i = 0; i < ndim; ++i) {
      layout[i] = elements.shape[i];
      // Unsigned, as strides that are never taken may be any.
      layout[ndim + i] =
          static_cast<Py_ssize_t>(static_cast<std::size_t>(elements.strides[i]) * elements.dtype.itemsize());
    }
    buffer->internal = layout.release();
    buffer->shape = static_cast<Py_ssize_t*>(buffer->internal);
    if (wants_strides) buffer->strides = buffer->shape + ndim;
  }
  buffer->obj = Py_NewRef(self);
}

int get_buffer(PyObject* self, Py_buffer* buffer, int flags) {
  buffer->obj = nullptr;
  try {
    fill_buffer(self, buffer, flags);
    return 0;
  } catch (const Error& error) {
    set_python_error(error);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return -1;
}

void release_buffer(PyObject*, Py_buffer* buffer) {
  delete[] static_cast<Py_ssize_t*>(buffer->internal);
  buffer->internal = nullptr;
}

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_doc,
     const_cast<char*>("Keeps a tensor's bytes in place: the base of arrays, the owner of buffers.")},
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
    {0, nullptr},
};

PyType_Spec spec{"tensord._core.Lease", sizeof(Lease), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

Elements LeaseContent::elements() const {
  if (draft) return draft->elements();
  static_cast<void>(view.extent_bytes());  // throws unless all of it lies where we may look
  return {const_cast<std::byte*>(view.data()),
          view.mode() == Mode::kReadWrite,
          view.dtype(),
          view.shape(),
          view.strides(),
          view.size_bytes()};
}

std::shared_ptr<void> LeaseContent::share() const {
  if (draft) return draft;
  return std::make_shared<View>(view);
}

py::object make_lease(View view) { return make({std::move(view), nullptr}); }
py::object make_lease(std::shared_ptr<Draft> draft) { return make({View(), std::move(draft)}); }
const LeaseContent& lease_content(py::handle lease) { return reinterpret_cast<Lease*>(lease.ptr())->content; }

void register_lease() {
  lease_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (lease_type == nullptr) throw py::error_already_set();
}

}  // namespace tensord::python
