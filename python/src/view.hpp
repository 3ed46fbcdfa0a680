// PyView: what Python calls tensord.View: a handle on one tensor, and its faces to NumPy, torch,
// DLPack and the buffer protocol.
//
// Owns     a lease, shared with every array made from it: closing the handle leaves them valid.
// Threads  with the GIL, which clone() releases while it copies.
// Fails    with InvalidArgumentError once closed.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <tensord/view.hpp>

#include "elements.hpp"
#include "lease.hpp"

namespace tensord::python {

class PyView {
 public:
  // `socket` is where another process finds the same tensor by name.
  PyView(View view, std::string socket, std::uint64_t bytes_copied = 0);
  // Of a tensor in the making; `publish` or `close` ends that.
  PyView(std::shared_ptr<Draft> draft, std::string socket);

  [[nodiscard]] pybind11::object numpy();
  [[nodiscard]] pybind11::object array(pybind11::object dtype, pybind11::object copy);
  [[nodiscard]] pybind11::object torch();
  [[nodiscard]] pybind11::object clone(bool torch, std::chrono::nanoseconds timeout = kReadTimeout);
  // A whole version and its number: a Snapshot, in `out` unless that is None. In reading.cpp.
  [[nodiscard]] pybind11::object read(pybind11::handle out, std::chrono::nanoseconds timeout);
  // view[key], and any other layout of the same bytes.
  [[nodiscard]] PyView item(pybind11::handle key) const;
  [[nodiscard]] PyView as_strided(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                                  std::int64_t offset) const;
  [[nodiscard]] pybind11::object dlpack(pybind11::object stream, pybind11::object max_version,
                                        pybind11::object dl_device, pybind11::object copy);

  // The draft was published as `view`.
  void publish(View view);
  void close();
  [[nodiscard]] bool closed() const { return !lease_; }

  [[nodiscard]] pybind11::str name() const;
  [[nodiscard]] pybind11::str dtype() const;
  [[nodiscard]] const char* kind() const;
  [[nodiscard]] const char* mode() const;
  [[nodiscard]] pybind11::tuple shape() const;
  [[nodiscard]] pybind11::tuple strides() const;
  [[nodiscard]] std::int64_t size() const;
  // Of the first dimension; raises TypeError if there is none.
  [[nodiscard]] std::int64_t length() const;
  [[nodiscard]] Elements elements() const { return content().elements(); }
  [[nodiscard]] Location location() const;
  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] std::uint64_t bytes_copied() const { return bytes_copied_; }
  [[nodiscard]] std::string repr() const;
  // Throws once closed.
  [[nodiscard]] const pybind11::object& lease() const;
  // The C++ view. Throws once closed, and for a tensor in the making.
  [[nodiscard]] const View& published() const;

 private:
  [[nodiscard]] const LeaseContent& content() const { return lease_content(lease()); }
  // What DLPack consumers get: the bytes and who keeps them; private ones of a sealed tensor.
  struct Shared {
    Elements elements;
    std::shared_ptr<void> owner;
  };
  [[nodiscard]] Shared share();
  [[nodiscard]] Shared share_copy(std::chrono::nanoseconds timeout);

  pybind11::object lease_;              // null once closed
  std::shared_ptr<std::byte> private_;  // copy-on-write mapping of a sealed tensor, made on first need
  pybind11::object draft_array_;        // the one array of a tensor in the making
  std::string socket_;
  std::uint64_t bytes_copied_ = 0;
};

void register_view(pybind11::module_& module);

}  // namespace tensord::python
