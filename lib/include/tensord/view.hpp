// View: a pin on one tensor, and the way to its bytes.
//
//   const tensord::View images = store.attach("digits/images");
//   std::span<const float> pixels = images.as<float>();
//
// Owns     one pin. While any copy of a View lives, the bytes stay where they are, whatever is
//          deleted, replaced or closed meanwhile; a Store may be destroyed before its Views.
// Threads  one View object, one thread at a time. Copies are independent: give each thread its own.
//          Copying, moving and destroying make no system call in the usual case and never block,
//          so a View may be dropped on any thread, also inside a deleter.
// Fails    mutable_data() and as_mutable() throw PermissionDeniedError unless the view is "r+".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <tensord/dtype.hpp>
#include <tensord/error.hpp>
#include <tensord/layout.hpp>

namespace tensord {

namespace client {
class Connection;
struct LiveTensor;
}  // namespace client
namespace shm {
struct Slot;
struct Layout;
struct LiveHeader;
}  // namespace shm

inline constexpr std::size_t kMaxNameSize = 255;  // bytes of a name, at most (UTF-8)

// Sealed: its bytes never change after publication. Live: writers change them in place.
enum class Kind : std::uint8_t { kSealed = 0, kLive = 1 };
// kRead is "r", kReadWrite is "r+"; only live tensors can be attached "r+".
enum class Mode : std::uint8_t { kRead = 0, kReadWrite = 1 };
// Until deleted, or until the connection of its creator ends.
enum class Lifetime : std::uint8_t { kStore = 0, kClient = 1 };

// Where a tensor lies, in the kernel's terms. Two processes that report the same inode and
// offset look at the same physical memory.
struct Location {
  std::uint64_t segment = 0;       // the store's number for the segment, never used twice
  std::uint64_t inode = 0;         // of the segment's memfd
  std::uint64_t offset_bytes = 0;  // of the first element within the segment
};

// A timeout that never comes.
inline constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();
// How long a copy of a live tensor waits for its writer, unless told otherwise.
inline constexpr std::chrono::nanoseconds kReadTimeout = std::chrono::seconds(30);

class View;

class Writing;

class View {
 public:
  View() noexcept = default;  // empty; only reset(), assignment and operator bool are allowed
  View(const View& other);    // one more pin
  View(View&& other) noexcept
      : connection_(std::move(other.connection_)),
        slot_(std::exchange(other.slot_, nullptr)),
        layout_(other.layout_),
        data_(std::exchange(other.data_, nullptr)),
        index_(other.index_),
        mode_(other.mode_),
        ndim_(other.ndim_),
        owns_layout_(other.owns_layout_) {}
  View& operator=(View other) noexcept;
  ~View() {
    if (slot_ != nullptr) reset();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return slot_ != nullptr; }
  void reset() noexcept;

  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] DType dtype() const;
  [[nodiscard]] Kind kind() const;
  [[nodiscard]] Mode mode() const noexcept { return mode_; }
  [[nodiscard]] int ndim() const noexcept { return ndim_; }
  [[nodiscard]] std::span<const std::int64_t> shape() const;    // elements along each dimension
  [[nodiscard]] std::span<const std::int64_t> strides() const;  // elements, as in DLPack and torch
  [[nodiscard]] std::int64_t numel() const;
  [[nodiscard]] std::size_t size_bytes() const;  // of all elements: numel() * itemsize
  // From the first element to the end of the last. Throws InternalError, as all that touches elements does,
  // if they do not lie in the tensor's segment: then the daemon is broken.
  [[nodiscard]] std::size_t extent_bytes() const;
  [[nodiscard]] Location location() const;
  // Which of all tensors that were ever in this store it is: no two have the same number, also if one
  // takes the other's name, slot and place.
  [[nodiscard]] std::uint64_t generation() const;

  // The shared bytes, zero-copy. Never null, also for tensors of no elements.
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::byte* mutable_data() const;

  // The same bytes as elements. Throws InvalidArgumentError if T is not the tensor's dtype or
  // its elements are not C-contiguous.
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    const std::size_t count = require_elements(dtype_of<T>);
    return {reinterpret_cast<const T*>(data_), count};
  }
  template <class T>
  [[nodiscard]] std::span<T> as_mutable() const {
    const std::size_t count = require_elements(dtype_of<T>);
    return {reinterpret_cast<T*>(mutable_data()), count};
  }

  // ---- sub-views: other elements of the same tensor, without a copy, with a pin of their own ----
  // Throw InvalidArgumentError for what lies outside of this view.
  // `length` elements of dimension `dim`, from `start` on; torch's narrow.
  [[nodiscard]] View narrow(int dim, std::int64_t start, std::int64_t length) const;
  // Element `index` of dimension `dim`, which goes; torch's select.
  [[nodiscard]] View select(int dim, std::int64_t index) const;
  // Any other layout within the bytes of this view: `offset` elements from its first one; strides in
  // elements, none negative; torch's as_strided.
  [[nodiscard]] View as_strided(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                                std::int64_t offset = 0) const;

  // A private, copy-on-write mapping of this tensor: readable at once without a copy, and what is
  // written to it reaches nobody else. For consumers that know no read-only tensors (torch). The
  // mapping lives as long as the pointer, and holds its own pin. Each call maps anew.
  [[nodiscard]] std::shared_ptr<std::byte> map_private() const;

  // Exactly one copy, out: size_bytes() bytes into private memory of the caller's, with the strides
  // packed_strides(shape(), strides()) (layout.hpp): those of the view, unless they leave gaps. Of a
  // live tensor all of one version, as far as its writers use writing(). Returns the version.
  // Throws TornWriteError, TimeoutError (a writer does not end). REQUIRES: destination.size() ==
  // size_bytes().
  std::uint64_t clone_to(std::span<std::byte> destination,
                         std::chrono::nanoseconds timeout = kReadTimeout) const;
  // The same, with the elements in C order whatever the layout: as T, or as bytes. A loop that reads one
  // version after the other into the same memory allocates nothing.
  //
  //   std::uint64_t version = weights.read(std::span(own));
  //
  // Throws as clone_to(), and InvalidArgumentError if T is not the tensor's dtype. REQUIRES: numel()
  // elements.
  template <class T>
  std::uint64_t read(std::span<T> destination, std::chrono::nanoseconds timeout = kReadTimeout) const {
    require_dtype(dtype_of<T>);
    return read(std::as_writable_bytes(destination), timeout);
  }
  std::uint64_t read(std::span<std::byte> destination, std::chrono::nanoseconds timeout = kReadTimeout) const;

  // ---- versions of live tensors; sealed ones are at version 0 for ever ----
  // How often it was written by now, by writers that use writing().
  [[nodiscard]] std::uint64_t version() const;
  // Waits for a whole version other than `after`, and returns it. Sleeps; interruptible by signals
  // (Store::set_interrupt_check). Throws TimeoutError, TornWriteError; InvalidArgumentError if sealed.
  std::uint64_t wait(std::uint64_t after, std::chrono::nanoseconds timeout = kForever) const;
  // Begins to write; waits while another does. `repair` also takes a torn tensor: write all of it then.
  // Throws PermissionDeniedError unless "r+", TimeoutError, TornWriteError.
  [[nodiscard]] Writing writing(std::chrono::nanoseconds timeout = kForever, bool repair = false) const;

 private:
  friend class client::Connection;
  friend class Store;
  friend class Writing;
  View(std::shared_ptr<client::Connection> connection, const shm::Slot* slot, const shm::Layout* layout,
       std::byte* data, std::uint32_t index, Mode mode) noexcept;
  void require_dtype(DType dtype) const;
  std::size_t require_elements(DType dtype) const;  // returns how many there are
  // What the catalog says of the elements, copied, and checked against the memory that is mapped.
  struct Sound {
    DType dtype;
    Strides shape, strides;
    std::size_t extent_bytes = 0;
  };
  // Throws InternalError.
  [[nodiscard]] Sound sound() const;
  std::uint64_t copy_out(const Sound& own, std::span<std::byte> destination,
                         std::span<const std::int64_t> destination_strides, bool as_it_lies,
                         std::chrono::nanoseconds timeout) const;
  // The start of the tensor's segment, in the mapping that this view reads or writes.
  [[nodiscard]] std::byte* segment_base() const;
  // Maps the pages of this view into this process now.
  void populate() const;
  [[nodiscard]] shm::LiveHeader& live_header() const;
  [[nodiscard]] client::LiveTensor live_tensor() const;

  std::shared_ptr<client::Connection> connection_;
  const shm::Slot* slot_ = nullptr;
  const shm::Layout* layout_ = nullptr;  // the catalog's, or a sub-view's own
  std::byte* data_ = nullptr;
  std::uint32_t index_ = 0;
  Mode mode_ = Mode::kRead;
  std::uint8_t ndim_ = 0;
  bool owns_layout_ = false;
};
static_assert(sizeof(View) <= 64, "100,000 held views are meant to be cheap");

// Writing: the time in which a live tensor is being changed. Readers who want whole versions
// (View::clone_to, View::wait) wait until it ends; one writer at a time.
//
//   {
//     tensord::Writing writing = weights.writing();
//     update(weights.as_mutable<float>());
//   }  // a new version, whole; whoever waits for it wakes
//
// Ends     with end() or destruction. When it is destroyed by an exception, or give_up() is called, the
//          tensor is torn: readers get TornWriteError until somebody writes it with `repair`.
// Crash    A process that dies in between leaves the tensor torn, too.
class Writing {
 public:
  Writing(Writing&& other) noexcept;
  Writing& operator=(Writing&&) = delete;
  ~Writing();
  void end() noexcept;
  void give_up() noexcept;

 private:
  friend class View;
  Writing(View view, std::uint64_t held) noexcept;
  template <class How>
  void leave(How&& how) noexcept;
  View view_;  // keeps the tensor; empty once it ended
  std::uint64_t held_ = 0;
  int exceptions_ = 0;  // in flight when it began
};

}  // namespace tensord
