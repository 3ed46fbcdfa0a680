// NoGil: lets other threads run Python while this one waits for the daemon or copies.
//
// A daemon thread may come back when the interpreter is ending, and then there is no GIL to come back to.
// Such a thread sleeps for ever, as CPython itself has it since 3.14. Older versions end it by unwinding its
// stack, which would drop Python objects without the GIL, and calls std::terminate in a destructor, as
// that of pybind11::gil_scoped_release.
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

namespace tensord::python {

class NoGil {
 public:
  NoGil() : thread_(PyEval_SaveThread()) {}
  ~NoGil() {
    try {
      PyEval_RestoreThread(thread_);
    } catch (const abi::__forced_unwind&) {
      while (true) ::pause();  // never left: an unwinding that is caught must not end
    }
  }
  NoGil(const NoGil&) = delete;
  NoGil& operator=(const NoGil&) = delete;

 private:
  PyThreadState* thread_;
};

}  // namespace tensord::python
