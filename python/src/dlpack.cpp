#include "dlpack.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <tensord/error.hpp>
#include <tensord/layout.hpp>

namespace py = pybind11;

namespace tensord::python::dlpack {
namespace {

// The newest version whose structures these are.
constexpr Version kVersion{1, 0};

// One exported tensor, with all that its pointers point to.
template <class Form>
struct Export {
  Form form{};
  std::int64_t shape[kMaxDims]{};
  std::int64_t strides[kMaxDims]{};
  std::shared_ptr<void> owner;
};

// Called by the consumer. No Python in here: torch calls it from its own threads, and after the end.
template <class Form>
void delete_export(Form* form) {
  delete static_cast<Export<Form>*>(form->context);
}

// Called by Python when the capsule dies; a consumer has renamed it and owns the tensor.
template <class Form>
void drop_capsule(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, Form::kCapsule) == 0) return;
  auto* const form = static_cast<Form*>(PyCapsule_GetPointer(capsule, Form::kCapsule));
  form->deleter(form);
}

template <class Form>
std::unique_ptr<Export<Form>> make_export(const Elements& elements, std::shared_ptr<void> owner) {
  auto made = std::make_unique<Export<Form>>();
  std::ranges::copy(elements.shape, made->shape);
  std::ranges::copy(elements.strides, made->strides);
  made->owner = std::move(owner);
  made->form.context = made.get();
  made->form.deleter = delete_export<Form>;
  made->form.tensor =
      Tensor{elements.data, {kDeviceCpu, 0}, elements.ndim(), elements.dtype, made->shape, made->strides, 0};
  return made;
}

template <class Form>
py::object wrap(std::unique_ptr<Export<Form>> made) {
  PyObject* const capsule = PyCapsule_New(&made->form, Form::kCapsule, drop_capsule<Form>);
  if (capsule == nullptr) throw py::error_already_set();
  static_cast<void>(made.release());  // the capsule's now
  return py::reinterpret_steal<py::object>(capsule);
}

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

void require_cpu(py::handle producer, std::int32_t device_type) {
  if (device_type == kDeviceCpu || device_type == kDeviceCudaHost || device_type == kDeviceRocmHost) return;
  throw UnsupportedTypeError("tensord holds tensors of the CPU; this " + type_name(producer) +
                             " lies on another device (DLPack device type " + std::to_string(device_type) +
                             "): copy it to the CPU first, in torch with tensor.cpu(), in CuPy with "
                             "cupy.asnumpy(array)");
}

py::object call_dlpack(py::handle producer) {
  const py::object method = producer.attr("__dlpack__");
  try {
    return method(py::arg("max_version") = py::make_tuple(kVersion.major, kVersion.minor));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    return method();  // a producer from before DLPack 1.0
  }
}

}  // namespace

py::object export_legacy(const Elements& elements, std::shared_ptr<void> owner) {
  return wrap(make_export<Managed>(elements, std::move(owner)));
}

py::object export_versioned(const Elements& elements, std::shared_ptr<void> owner, std::uint64_t flags) {
  auto made = make_export<ManagedVersioned>(elements, std::move(owner));
  made->form.version = kVersion;
  made->form.flags = flags;
  return wrap(std::move(made));
}

Imported import(py::handle producer) {
  // Asked first, so that an array of a device is not exported in vain; told by the capsule, too.
  if (py::hasattr(producer, "__dlpack_device__")) {
    const auto device = py::cast<py::tuple>(producer.attr("__dlpack_device__")());
    require_cpu(producer, py::int_(device[0]).cast<std::int32_t>());
  }
  Imported imported{call_dlpack(producer)};
  PyObject* const capsule = imported.capsule.ptr();
  if (PyCapsule_IsValid(capsule, ManagedVersioned::kCapsule) != 0) {
    const auto* form =
        static_cast<ManagedVersioned*>(PyCapsule_GetPointer(capsule, ManagedVersioned::kCapsule));
    if (form->version.major != kVersion.major) {
      throw UnsupportedTypeError(type_name(producer) + ".__dlpack__() answered in DLPack version " +
                                 std::to_string(form->version.major) +
                                 ", asked for was 1: put numpy.asarray(...) of it");
    }
    imported.tensor = &form->tensor;
  } else if (PyCapsule_IsValid(capsule, Managed::kCapsule) != 0) {
    imported.tensor = &static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::kCapsule))->tensor;
  } else {
    throw UnsupportedTypeError(type_name(producer) +
                               ".__dlpack__() did not return a DLPack capsule: put numpy.asarray(...) of it");
  }
  require_cpu(producer, imported.tensor->device.type);
  return imported;
}

}  // namespace tensord::python::dlpack
