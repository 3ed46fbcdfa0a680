"""What a view says of its tensor, and its faces to NumPy and the buffer protocol."""

import io

import ml_dtypes
import numpy as np
import pytest
import torch
from other_process import ask_python

import tensord


@pytest.fixture
def view(store):
    return store.put("demo/ramp", np.arange(12, dtype=np.float32).reshape(3, 4))


def test_a_view_describes_its_tensor(store, view):
    assert (view.name, view.dtype, view.kind, view.mode) == ("demo/ramp", "float32", "sealed", "r")
    assert (view.shape, view.strides, view.ndim, view.size) == ((3, 4), (4, 1), 2, 12)
    assert (view.nbytes, view.itemsize) == (48, 4)
    assert isinstance(view.location, tensord.Location) and view.location == store["demo/ramp"].location
    assert repr(view) == "<tensord.View 'demo/ramp' float32 (3, 4) sealed r>"


def test_a_live_tensor_is_attached_to_read_or_to_write(store):
    put = store.put("live", [1, 2], live=True)
    assert (put.kind, put.mode) == ("live", "r+")
    assert (store["live"].kind, store["live"].mode) == ("live", "r")
    assert store.attach("live", mode="r+").mode == "r+"
    assert store.attach("live", mode="r+").numpy().flags.writeable


def test_an_array_of_a_sealed_tensor_is_read_only_for_good(view):
    array = view.numpy()
    assert not array.flags.writeable and not array.flags.owndata and array.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_arrays_of_one_view_share_memory(view):
    assert np.shares_memory(view.numpy(), np.asarray(view))
    assert not np.shares_memory(view.numpy(), view.clone())


def test_elements_are_aligned_to_a_cache_line(store):
    for size in (1, 3, 1000):
        assert store.put("a", np.zeros(size, np.int8), replace=True).numpy().ctypes.data % 64 == 0


def test_clone_is_a_private_copy(store, view):
    before = store.stats().bytes_copied_out
    attached = store.attach("demo/ramp")
    copy = attached.clone()
    copy += 1
    assert copy.flags.owndata and copy.flags.writeable
    assert (copy - 1 == view.numpy()).all()
    assert attached.bytes_copied == store.stats().bytes_copied_out - before == 48


def test_clone_gives_torch_tensors_too(view):
    copy = view.clone(torch=True)
    copy += 1
    assert isinstance(copy, torch.Tensor)
    assert (copy.numpy() - 1 == view.numpy()).all() and view.bytes_copied == 48 + 48


def test_bfloat16_goes_to_torch_without_numpy(store):
    view = store.put("b", torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    assert view.torch().dtype == view.clone(torch=True).dtype == torch.bfloat16
    assert view.clone(torch=True).tolist() == [1.5, -2.0]
    assert np.asarray(view).dtype == view.clone().dtype == view.numpy().dtype
    assert view.numpy().astype(np.float32).tolist() == [1.5, -2.0]


def test_without_ml_dtypes_numpy_converts_no_bits_as_if_they_were_numbers(store, socket):
    store.put("b", torch.tensor([1.5], dtype=torch.bfloat16))
    told = ask_python(
        socket,
        """
        sys.modules["ml_dtypes"] = None  # import raises ImportError
        view = tensord.connect().attach("b")
        try:
            np.asarray(view, dtype="float32")
        except TypeError as error:
            say([type(error).__name__, str(error), np.asarray(view, dtype="uint16").tolist(), view.torch().tolist()])
        """,
    )
    assert told[0] == "UnsupportedTypeError"
    assert "ml_dtypes" in told[1] and "view.torch()" in told[1] and "float32" in told[1]
    assert told[2:] == [[0x3FC0], [1.5]]


def test_what_torch_lacks_says_where_it_is(store):
    view = store.put("e", np.zeros(2, ml_dtypes.float8_e3m4))
    for ask in (view.torch, lambda: view.clone(torch=True)):
        with pytest.raises(tensord.UnsupportedTypeError, match=r"torch has no float8_e3m4: use view.numpy\(\)"):
            ask()
    assert view.bytes_copied == 2  # by put


def test_the_buffer_protocol_has_no_word_for_narrow_floats(store):
    for dtype in ("bfloat16", "complex32", "float8_e5m2", "float4_e2m1fn_x2"):
        with store.build("n", 2, dtype, replace=True) as view:
            with pytest.raises(BufferError, match=f"buffer protocol has no {dtype}"):
                memoryview(view)


def test_array_protocol_copies_only_when_told(view):
    assert np.shares_memory(view.__array__(), view.numpy())
    assert np.shares_memory(view.__array__(copy=False), view.numpy())
    assert np.shares_memory(view.__array__("float32"), view.numpy())
    assert not np.shares_memory(view.__array__(copy=True), view.numpy())
    assert view.__array__("float64").dtype == np.float64
    with pytest.raises(tensord.WouldCopyError, match="only a copy can turn float32 into float64"):
        view.__array__("float64", copy=False)


def test_numpy_functions_take_views(view):
    assert np.add(view, 1).sum() == 78
    assert np.array(view).flags.owndata


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 2)], ids=str)
def test_the_buffer_protocol_shows_shape_format_and_protection(store, shape):
    expected = np.arange(np.prod(shape, dtype=int), dtype=np.int16).reshape(shape)
    buffer = memoryview(store.put("a", expected, replace=True))
    assert (buffer.shape, buffer.format, buffer.itemsize, buffer.readonly) == (shape, "h", 2, True)
    assert buffer.strides == expected.strides or expected.size == 0
    assert bytes(buffer) == expected.tobytes()


def test_a_live_buffer_is_writable_only_in_mode_r_plus(store):
    writable = memoryview(store.put("live", [1, 2], live=True))
    writable[0] = 7
    assert store["live"].numpy().tolist() == [7, 2]
    assert memoryview(store["live"]).readonly
    with pytest.raises(TypeError, match="read-write"):  # CPython's own words
        io.BytesIO(bytes(16)).readinto(store["live"])


def test_a_closed_view_says_so_and_nothing_else(view):
    view.close()
    assert view.closed and repr(view) == "<tensord.View closed>"
    for use in (
        lambda: view.numpy(),
        lambda: view.torch(),
        lambda: view.clone(),
        lambda: view.shape,
        lambda: view.name,
        lambda: view.location,
        lambda: view.__dlpack__(),
        lambda: view.__dlpack_device__(),
        lambda: memoryview(view),
    ):
        with pytest.raises(tensord.InvalidArgumentError, match="this view is closed"):
            use()
