#include <tensord/error.hpp>

#include "os/noted_messages.hpp"

namespace tensord {

Error::Error(Errc code, const std::string& text) : std::runtime_error(text), code_(code) {
  os::note_message(text);
}

void throw_error(Errc code, const std::string& text) {
  switch (code) {
    case Errc::kNotFound: throw NotFoundError(text);
    case Errc::kAlreadyExists: throw AlreadyExistsError(text);
    case Errc::kOutOfSpace: throw OutOfSpaceError(text);
    case Errc::kPermissionDenied: throw PermissionDeniedError(text);
    case Errc::kInvalidArgument: throw InvalidArgumentError(text);
    case Errc::kUnsupportedType: throw UnsupportedTypeError(text);
    case Errc::kConnectionLost: throw ConnectionLostError(text);
    case Errc::kVersionMismatch: throw VersionMismatchError(text);
    case Errc::kLimitReached: throw LimitReachedError(text);
    case Errc::kWouldCopy: throw WouldCopyError(text);
    case Errc::kTimeout: throw TimeoutError(text);
    case Errc::kTornWrite: throw TornWriteError(text);
    case Errc::kOk:
    case Errc::kInternal: break;
  }
  // Also where a code of a newer daemon arrives.
  throw InternalError(text);
}

}  // namespace tensord
