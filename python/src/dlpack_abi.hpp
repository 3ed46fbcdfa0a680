// The DLPack binary interface, as far as a CPU tensor needs it: how array libraries hand memory to
// each other without knowing each other. Written after the specification (dmlc/dlpack, dlpack.h of
// versions 0.8 and 1.x); field order, sizes and numbers are its, names are ours.
//
// Owns     a consumer of a Managed tensor calls deleter once, at any time, on any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tensord/dtype.hpp>

namespace tensord::python::dlpack {

inline constexpr std::int32_t kDeviceCpu = 1;
inline constexpr std::int32_t kDeviceCudaHost = 3;   // pinned, but plain memory to the CPU
inline constexpr std::int32_t kDeviceRocmHost = 11;  // the same

struct Device {
  std::int32_t type;
  std::int32_t id;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DType dtype;  // our DType is DLPack's, by design
  std::int64_t* shape;
  std::int64_t* strides;  // elements; null in a foreign tensor: C-contiguous
  std::uint64_t byte_offset;
};

// The form before 1.0. Capsule name "dltensor", "used_dltensor" once consumed.
struct Managed {
  static constexpr const char* kCapsule = "dltensor";
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};

struct Version {
  std::uint32_t major;
  std::uint32_t minor;
};

inline constexpr std::uint64_t kFlagReadOnly = 1;
inline constexpr std::uint64_t kFlagCopied = 2;

// The form since 1.0. Capsule name "dltensor_versioned", "used_dltensor_versioned" once consumed.
struct ManagedVersioned {
  static constexpr const char* kCapsule = "dltensor_versioned";
  Version version;
  void* context;
  void (*deleter)(ManagedVersioned*);
  std::uint64_t flags;
  Tensor tensor;
};

// The layout that every other library was compiled with.
static_assert(sizeof(void*) == 8);
static_assert(sizeof(Device) == 8 && sizeof(DType) == 4);
static_assert(offsetof(DType, code) == 0 && offsetof(DType, bits) == 1 && offsetof(DType, lanes) == 2);
static_assert(sizeof(Tensor) == 48);
static_assert(offsetof(Tensor, device) == 8 && offsetof(Tensor, ndim) == 16 && offsetof(Tensor, dtype) == 20);
static_assert(offsetof(Tensor, shape) == 24 && offsetof(Tensor, strides) == 32);
static_assert(offsetof(Tensor, byte_offset) == 40);
static_assert(sizeof(Managed) == 64 && offsetof(Managed, context) == 48 && offsetof(Managed, deleter) == 56);
static_assert(sizeof(ManagedVersioned) == 80 && offsetof(ManagedVersioned, context) == 8);
static_assert(offsetof(ManagedVersioned, deleter) == 16 && offsetof(ManagedVersioned, flags) == 24);
static_assert(offsetof(ManagedVersioned, tensor) == 32);

}  // namespace tensord::python::dlpack
