// Counts: what the workers count, and how the report calls it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tensord::soak {

enum class Count : std::uint32_t {
  // operations of producers
  kPut,
  kReplace,
  kBuild,
  kAbort,
  kPutMany,
  kPublishMany,
  kDelete,
  kPutBound,
  // of everybody
  kAttach,
  kAttachMany,
  kVerify,
  kRead,
  kClone,
  kMapPrivate,
  kSubView,
  kWrite,
  kRepair,
  kWaitName,
  kWaitVersion,
  kList,
  kAsk,
  kConnect,
  kResolve,
  // of forkers
  kFork,
  kExec,
  kSpawn,
  // errors that are answers
  kNotFound,
  kAlreadyExists,
  kOutOfSpace,
  kTorn,
  kTimeout,
};
inline constexpr std::size_t kOperations = static_cast<std::size_t>(Count::kNotFound);
inline constexpr std::size_t kCounts = static_cast<std::size_t>(Count::kTimeout) + 1;

inline constexpr std::array<const char*, kCounts> kCountNames = {"put",
                                                                 "replace",
                                                                 "build",
                                                                 "abort",
                                                                 "put_many",
                                                                 "publish_many",
                                                                 "delete",
                                                                 "put bound to its client",
                                                                 "attach",
                                                                 "attach_many",
                                                                 "verify",
                                                                 "read",
                                                                 "clone",
                                                                 "map_private",
                                                                 "sub-view",
                                                                 "write",
                                                                 "repair",
                                                                 "wait for a name",
                                                                 "wait for a version",
                                                                 "list",
                                                                 "ask",
                                                                 "connect",
                                                                 "resolve a doubt",
                                                                 "fork",
                                                                 "exec",
                                                                 "spawn",
                                                                 "not found",
                                                                 "already exists",
                                                                 "out of space",
                                                                 "torn",
                                                                 "timeout"};

}  // namespace tensord::soak
