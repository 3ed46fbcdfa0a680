#include "build.hpp"

#include <utility>

#include <tensord/error.hpp>

#include "no_gil.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {

void end_block(py::handle exception_type, std::span<const py::object> views,
               const std::function<std::vector<View>()>& publish) {
  const auto close_all = [&] {
    for (const py::object& view : views) view.cast<PyView&>().close();
  };
  if (!exception_type.is_none()) {
    close_all();
    return;
  }
  std::vector<View> published;
  try {
    const NoGil no_gil;
    published = publish();
  } catch (...) {
    close_all();
    throw;
  }
  for (std::size_t i = 0; i < views.size(); ++i) views[i].cast<PyView&>().publish(std::move(published[i]));
}

py::object PyBuild::enter() {
  if (!draft_ || view_)
    throw InvalidArgumentError("a Build is entered once: call store.build(...) for each tensor");
  view_ = py::cast(PyView(draft_, socket_));
  return view_;
}

void PyBuild::exit(py::handle exception_type) {
  if (!view_) throw InvalidArgumentError("this Build was never entered, or has ended");
  // Whatever happens now, the block is over.
  const std::shared_ptr<Draft> draft = std::exchange(draft_, nullptr);
  const py::object view = std::exchange(view_, py::object());
  end_block(exception_type, {&view, 1}, [&] { return std::vector{draft->publish()}; });
}

void register_build(py::module_& module) {
  py::class_<PyBuild>(module, "Build", R"(A tensor in the making: `with store.build(...) as view:`.

Inside of the block, fill view.numpy() or view.torch() in place; nobody else sees the tensor. At the
end of the block it is published, whole, and `view` is a view as any other; if the block raises, it
is dropped, and `view` is closed.

Do not write through arrays kept from the block: of a sealed tensor they point to bytes that never
change any more. view.numpy() of the block is made read-only, slices and torch tensors of it are not.)")
      .def("__enter__", &PyBuild::enter)
      .def("__exit__", [](PyBuild& self, py::handle type, py::handle, py::handle) { self.exit(type); });
}

}  // namespace tensord::python
