#include "writing.hpp"

#include <utility>

#include <tensord/error.hpp>

#include "arguments.hpp"
#include "no_gil.hpp"

namespace py = pybind11;

namespace tensord::python {

PyWriting::PyWriting(View view, std::chrono::nanoseconds timeout, bool repair)
    : view_(std::move(view)), timeout_(timeout), repair_(repair) {}

void PyWriting::enter() {
  if (!view_) throw InvalidArgumentError("a writing() block is entered once: call view.writing() again");
  View view = std::exchange(view_, View());
  const NoGil no_gil;
  writing_.emplace(view.writing(timeout_, repair_));
}

void PyWriting::exit(py::handle exception_type) {
  if (!writing_) throw InvalidArgumentError("this writing() block was never entered, or has ended");
  if (exception_type.is_none()) {
    writing_->end();
  } else {
    writing_->give_up();
  }
  writing_.reset();
}

PyWriting begin_writing(const PyView& view, py::handle timeout, bool repair) {
  return {view.published(), read_timeout(timeout), repair};
}

std::uint64_t wait_for_version(const PyView& view, std::uint64_t after, py::handle timeout) {
  const View own = view.published();  // another thread may close the view meanwhile
  const std::chrono::nanoseconds limit = read_timeout(timeout);
  const NoGil no_gil;
  return own.wait(after, limit);
}

void register_writing(py::module_& module) {
  py::class_<PyWriting>(module, "Writing",
                        R"(The time in which a live tensor is changed: `with view.writing():`.

One writer at a time; readers who want whole versions (clone, wait) wait until the block ends, and the
tensor has a new version then. If the block raises, or the process dies in it, the tensor is torn:
readers get TornWriteError until somebody writes all of it in `with view.writing(repair=True):`.)")
      .def("__enter__", [](PyWriting& self) { self.enter(); })
      .def("__exit__", [](PyWriting& self, py::handle type, py::handle, py::handle) { self.exit(type); });
}

}  // namespace tensord::python
