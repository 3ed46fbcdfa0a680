"""DLPack, read as another library would read it."""

import ctypes
import gc

import numpy as np
import pytest
import torch
from running_daemon import eventually

import tensord

READ_ONLY, COPIED = 1, 2


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


def read(capsule, name, form):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return form.from_address(get(capsule, name))


@pytest.fixture
def view(store):
    return store.put("a", np.arange(6, dtype=np.int16).reshape(2, 3))


def test_an_old_consumer_gets_an_old_capsule(view):
    capsule = view.__dlpack__()
    tensor = read(capsule, b"dltensor", Managed).tensor
    assert (tensor.device_type, tensor.ndim, tensor.code, tensor.bits, tensor.lanes) == (1, 2, 0, 16, 1)
    assert (tensor.shape[0], tensor.shape[1], tensor.strides[0], tensor.strides[1]) == (2, 3, 3, 1)
    assert ctypes.c_int16.from_address(tensor.data + tensor.byte_offset + 10).value == 5


@pytest.mark.parametrize(
    "arguments, live, flags",
    [({}, False, READ_ONLY), ({}, True, 0), ({"copy": True}, False, COPIED), ({"copy": False}, True, 0)],
    ids=["sealed", "live", "copy", "live, no copy"],
)
def test_a_new_consumer_gets_a_versioned_capsule_with_flags(store, arguments, live, flags):
    view = store.put("v", [1, 2, 3], live=live)
    capsule = view.__dlpack__(max_version=(1, 1), **arguments)
    managed = read(capsule, b"dltensor_versioned", ManagedVersioned)
    assert (managed.major, managed.flags, managed.tensor.ndim) == (1, flags, 1)


def test_numpy_heeds_the_read_only_flag_and_torch_writes_privately(view):
    assert not np.from_dlpack(view).flags.writeable
    torch.from_dlpack(view).zero_()
    assert view.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_live_tensors_are_shared_for_writing(store):
    view = store.put("live", [1, 2], live=True)
    torch.from_dlpack(view)[0] = 7
    assert view.numpy().tolist() == [7, 2]


def test_a_live_tensor_of_mode_r_names_the_two_ways_out(store):
    store.put("live", [1, 2], live=True)
    view = store.attach("live")
    for use in (view.torch, view.__dlpack__, lambda: torch.from_dlpack(view), lambda: view.__dlpack__(copy=False)):
        with pytest.raises(BufferError, match=r'"r".*mode="r\+".*view\.clone\(\)') as caught:
            use()
        assert isinstance(caught.value, tensord.WouldCopyError)
    assert torch.from_dlpack(view, copy=True).tolist() == view.clone(torch=True).tolist() == [1, 2]


def test_a_copy_is_private_and_counted(view):
    before = view.bytes_copied
    copy = torch.from_dlpack(view, copy=True)
    copy.zero_()
    assert view.torch().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert view.bytes_copied - before == view.nbytes


def test_other_devices_and_streams_are_refused(view):
    assert view.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="device type 2"):
        view.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ValueError, match="stream"):
        view.__dlpack__(stream=1)
    assert view.__dlpack__(dl_device=(1, 0), stream=None, copy=None) is not None


@pytest.mark.parametrize("max_version", [None, (1, 0)])
def test_a_capsule_that_nobody_consumes_lets_go(store, view, max_version):
    capsule = view.__dlpack__(max_version=max_version)
    view.close()
    store.delete("a")
    assert store.stats().dying_tensors == 1
    del capsule
    gc.collect()
    assert eventually(lambda: store.stats().dying_tensors == 0)
