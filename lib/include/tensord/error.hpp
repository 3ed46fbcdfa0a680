// Errors: one family, one code per outcome, the same words in C++, Python and on the wire.
//
// Every failure of a public call is a tensord::Error. Catch the base class for all of them,
// or the class of the outcome you can act on. The text says what happened, with what, and
// what to do about it; it is for people and may change, the code does not.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tensord {

// The numbers are part of the protocol (lib/src/protocol/messages.hpp): append, never renumber.
enum class Errc : std::uint32_t {
  kOk = 0,
  kNotFound = 1,          // no tensor of this name
  kAlreadyExists = 2,     // the name is taken, and `replace` was not asked for
  kOutOfSpace = 3,        // the store's byte limit or its slots are used up
  kPermissionDenied = 4,  // the namespace belongs to somebody else, or the tensor is sealed
  kInvalidArgument = 5,   // a bad name, shape, stride, mode
  kUnsupportedType = 6,   // a dtype that tensord does not hold
  kConnectionLost = 7,    // the daemon is gone, or never was there
  kVersionMismatch = 8,   // the daemon speaks another protocol or layout
  kLimitReached = 9,      // a limit other than space: connections, dimensions
  kWouldCopy = 10,        // only a copy could do it, and none was asked for
  kTimeout = 11,          // nobody answered in time
  kInternal = 12,         // a fault of ours, or of the system: the text has the details
  kTornWrite = 13,        // a live tensor whose writer died or gave up in the middle
};

class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& text);
  [[nodiscard]] Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

template <Errc kCode>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& text) : Error(kCode, text) {}
};

using NotFoundError = ErrorOf<Errc::kNotFound>;
using AlreadyExistsError = ErrorOf<Errc::kAlreadyExists>;
using OutOfSpaceError = ErrorOf<Errc::kOutOfSpace>;
using PermissionDeniedError = ErrorOf<Errc::kPermissionDenied>;
using InvalidArgumentError = ErrorOf<Errc::kInvalidArgument>;
using UnsupportedTypeError = ErrorOf<Errc::kUnsupportedType>;
using ConnectionLostError = ErrorOf<Errc::kConnectionLost>;
using VersionMismatchError = ErrorOf<Errc::kVersionMismatch>;
using LimitReachedError = ErrorOf<Errc::kLimitReached>;
using WouldCopyError = ErrorOf<Errc::kWouldCopy>;
using TimeoutError = ErrorOf<Errc::kTimeout>;
using InternalError = ErrorOf<Errc::kInternal>;
using TornWriteError = ErrorOf<Errc::kTornWrite>;

// Throws the class that belongs to `code`. REQUIRES: code is not kOk.
[[noreturn]] void throw_error(Errc code, const std::string& text);

}  // namespace tensord
