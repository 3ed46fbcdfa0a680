"""DLPack, read as another library would read it."""

import ctypes
import gc

import numpy as np
import pytest
import torch
from foreign_arrays import COPIED, READ_ONLY, Managed, ManagedVersioned, read
from running_daemon import eventually

import tensord


@pytest.fixture
def view(store):
    return store.put("a", np.arange(6, dtype=np.int16).reshape(2, 3))


def test_an_old_consumer_gets_an_old_capsule(view):
    capsule = view.__dlpack__()
    tensor = read(capsule, Managed).tensor
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
    managed = read(capsule, ManagedVersioned)
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


# ---- copy=False never copies ---------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True], ids=["sealed", "live"])
@pytest.mark.parametrize(
    "share",
    [
        lambda view: np.asarray(view, copy=False),
        lambda view: np.asarray(view, dtype="int16", copy=False),
        lambda view: view.__array__(copy=False),
        lambda view: np.from_dlpack(view, copy=False),
        lambda view: torch.from_dlpack(view, copy=False),
        lambda view: torch.from_dlpack(view, device="cpu", copy=False),
    ],
    ids=["asarray", "asarray of its dtype", "__array__", "numpy", "torch", "torch on the CPU"],
)
def test_who_asks_for_no_copy_gets_none(store, live, share):
    view = store.put("a", np.arange(6, dtype=np.int16), live=live)
    reader = store.attach("a", "r+" if live else "r")
    before = store.stats()
    shared = share(reader)
    assert shared.tolist() == [0, 1, 2, 3, 4, 5]
    assert reader.bytes_copied == 0 and store.stats().bytes_copied_out == before.bytes_copied_out
    if live:
        view.numpy()[0] = 7
        assert shared.tolist()[0] == 7


ONLY_BY_A_COPY = {
    "asarray of another dtype": lambda view: np.asarray(view, dtype="float64", copy=False),
    "__array__ of another dtype": lambda view: view.__array__(dtype="float64", copy=False),
    "__dlpack__ of another device": lambda view: view.__dlpack__(dl_device=(2, 0), copy=False),
    "__dlpack__ of another device, unsaid": lambda view: view.__dlpack__(dl_device=(2, 0)),
}


@pytest.mark.parametrize("ask", ONLY_BY_A_COPY.values(), ids=ONLY_BY_A_COPY)
def test_what_only_a_copy_could_do_is_refused(view, ask):
    before = view.bytes_copied
    # ValueError is NumPy's word for it, BufferError is DLPack's: ours is both.
    with pytest.raises((ValueError, BufferError)):
        ask(view)
    assert view.bytes_copied == before
    assert issubclass(tensord.WouldCopyError, ValueError) and issubclass(tensord.WouldCopyError, BufferError)


def test_a_live_tensor_of_mode_r_is_not_copied_behind_ones_back(store):
    store.put("live", [1, 2], live=True)
    view = store.attach("live")
    for share in (
        lambda: view.__dlpack__(copy=False),
        lambda: view.__dlpack__(max_version=(1, 0), copy=False),
        lambda: torch.from_dlpack(view, copy=False),
        lambda: np.from_dlpack(view, copy=False),
    ):
        with pytest.raises(tensord.WouldCopyError):
            share()
    assert view.bytes_copied == 0
    assert np.asarray(view, copy=False).tolist() == [1, 2]  # NumPy knows read-only memory


@pytest.mark.parametrize(
    "max_version, form",
    [(None, Managed), ((0, 8), Managed), *((version, ManagedVersioned) for version in ((1, 0), (1, 3), (2, 0)))],
)
def test_a_consumer_gets_the_newest_form_that_it_knows(view, max_version, form):
    capsule = view.__dlpack__(max_version=max_version)
    taken = read(capsule, form)
    assert taken.tensor.ndim == 2
    if form is ManagedVersioned:
        assert taken.major == 1
