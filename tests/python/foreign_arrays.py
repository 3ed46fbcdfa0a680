"""Arrays of libraries that are not installed here, as far as their protocols go, and capsules in the hand."""

import ctypes

import numpy as np

READ_ONLY, COPIED = 1, 2
CPU, CUDA, CUDA_HOST = 1, 2, 3


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class ManagedVersioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


_python = ctypes.pythonapi
_python.PyCapsule_GetPointer.restype = ctypes.c_void_p
_python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

# Written once, so that they are valid for as long as a capsule is.
_NAMES = {Managed: b"dltensor", ManagedVersioned: b"dltensor_versioned"}
_USED = {Managed: b"used_dltensor", ManagedVersioned: b"used_dltensor_versioned"}


def read(capsule, form):
    return form.from_address(_python.PyCapsule_GetPointer(capsule, _NAMES[form]))


def consume(capsule, form):
    """Takes the tensor over, as a consumer does: from now on its deleter is to be called."""
    taken = read(capsule, form)
    _python.PyCapsule_SetName(capsule, _USED[form])
    return taken


class Producer:
    """An array of a library of its own, of the elements of a NumPy array. Nothing but DLPack."""

    form = ManagedVersioned
    device = (CPU, 0)
    flags = READ_ONLY
    version = (1, 1)

    def __init__(self, array):
        self._array = array  # its memory stays while `self` does, so no capsule needs a deleter
        tensor = Tensor(
            array.ctypes.data,
            *self.device,
            array.ndim,
            {"i": 0, "u": 1, "f": 2}[array.dtype.kind],
            8 * array.itemsize,
            1,
            (ctypes.c_int64 * array.ndim)(*array.shape),
            (ctypes.c_int64 * array.ndim)(*(stride // array.itemsize for stride in array.strides)),
            0,
        )
        if self.form is ManagedVersioned:
            self._managed = ManagedVersioned(*self.version, None, None, self.flags, tensor)
        else:
            self._managed = Managed(tensor, None, None)
        self.asked = []

    def _capsule(self):
        return _python.PyCapsule_New(ctypes.addressof(self._managed), _NAMES[self.form], None)


class JaxStyle(Producer):
    """Keywords of the array API standard of 2023; versioned, and always read-only."""

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        self.asked.append((stream, max_version, dl_device, copy))
        if max_version is None or max_version[0] < 1:
            raise BufferError("a read-only array cannot be exported in the form before DLPack 1.0")
        return self._capsule()

    def __dlpack_device__(self):
        return self.device


class OldStyle(Producer):
    """From before DLPack 1.0: no keywords but `stream`."""

    form = Managed

    def __dlpack__(self, stream=None):
        self.asked.append((stream,))
        return self._capsule()

    def __dlpack_device__(self):
        return self.device


class CapsuleOnly(Producer):
    """Not even __dlpack_device__: where it lies stands in the capsule alone."""

    def __dlpack__(self, max_version):
        return self._capsule()


class CudaInterface:
    """As of Numba: only where the elements lie on the GPU."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": (3,), "typestr": "<f4", "data": (0xDEAD0000, False), "version": 3}


class CupyStyle(CudaInterface, JaxStyle):
    """On a GPU: every door leads to memory that no CPU can read, and says so only by its device."""

    device = (CUDA, 1)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


class Pinned(JaxStyle):
    """Page-locked memory of the host."""

    device = (CUDA_HOST, 0)


class ArrayInterface:
    """NumPy's oldest protocol, and no other."""

    def __init__(self, array):
        self._array = array
        self.__array_interface__ = array.__array_interface__


def example(dtype="float32"):
    return np.arange(6, dtype=dtype).reshape(2, 3)
