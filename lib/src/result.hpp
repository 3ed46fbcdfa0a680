// Result<T>: a value, or the outcome that stood in its way.
//
// For outcomes that a caller is expected to meet (a name taken, no space left) inside the daemon
// and the protocol. The public C++ interface throws tensord::Error instead; bugs of ours assert.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include <tensord/error.hpp>

namespace tensord {

struct Failure {
  Errc code = Errc::kInternal;
  std::string text{};
};

struct Done {};  // the value of a Result that carries none

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}            // NOLINT: implicit by intent
  Result(Failure failure) : content_(std::move(failure)) {}  // NOLINT
  [[nodiscard]] explicit operator bool() const { return content_.index() == 0; }
  [[nodiscard]] T& value() { return std::get<0>(content_); }
  [[nodiscard]] const T& value() const { return std::get<0>(content_); }
  [[nodiscard]] const Failure& failure() const { return std::get<1>(content_); }
  T* operator->() { return &value(); }
  T& operator*() { return value(); }

 private:
  std::variant<T, Failure> content_;
};

// Where a failure is the caller's to handle: the value, or the failure as the exception of its code.
template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw_error(result.failure().code, result.failure().text);
  return std::move(result.value());
}

}  // namespace tensord
