"""read(): one whole version and its number, into new memory or into the caller's own."""

import numpy as np
import pytest
from other_process import OtherProcess

import tensord


def test_read_gives_one_version_and_its_number(store):
    view = store.put("w/x", np.arange(6.0).reshape(2, 3), live=True)
    with view.writing():
        view.numpy()[:] += 1
    array, version = snapshot = view.read()
    assert isinstance(snapshot, tensord.Snapshot)
    assert version == 1
    assert (array == np.arange(6.0).reshape(2, 3) + 1).all()
    assert array.flags.writeable and array.flags.owndata
    sealed = store.put("w/sealed", [1, 2])
    assert (sealed.read().array.tolist(), sealed.read().version) == ([1, 2], 0)
    assert sealed.bytes_copied == 3 * sealed.nbytes  # by put, and twice by read


@pytest.mark.parametrize("order", ["C", "F"])
def test_read_is_in_c_order_whatever_the_layout(store, order):
    values = np.asarray(np.arange(24.0).reshape(2, 3, 4), order=order)
    view = store.put("w/x", values)
    for part, expected in ((view, values), (view[:, 1:, ::2], values[:, 1:, ::2])):
        array = part.read().array
        assert array.flags.c_contiguous and (array == expected).all()
        out = np.empty(expected.shape)
        assert part.read(out).array is out and (out == expected).all()


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ([0.0] * 6, "no ndarray but a list"),
        (np.empty((2, 3), np.float32), "of dtype float32"),
        (np.empty((2, 3), ">f8"), "of dtype >f8"),
        (np.empty((3, 2)), r"of shape \(3, 2\)"),
        (np.empty((3, 2)).T, "not C-contiguous"),
        (np.frombuffer(bytes(48)).reshape(2, 3), "read-only"),
    ],
)
def test_read_takes_memory_that_fits_and_refuses_other(store, out, says):
    view = store.put("w/x", np.ones((2, 3)))
    with pytest.raises(tensord.InvalidArgumentError, match=says) as caught:
        view.read(out)
    assert "writable C-contiguous ndarray of dtype float64 and shape (2, 3)" in str(caught.value)
    assert view.bytes_copied == view.nbytes  # by put


def test_read_and_clone_wait_for_a_writer_as_long_as_they_are_told(store):
    view = store.put("w/x", np.zeros(3), live=True)
    reader = store.attach("w/x")
    with view.writing():
        for read in (reader.read, reader.clone):
            with pytest.raises(tensord.TimeoutError, match="still being written by pid"):
                read(timeout=0.01)
    assert reader.read(timeout=0).version == 1
    assert reader.clone(timeout=None).shape == (3,)


# Writes whole versions of a live tensor for ever; the elements of each are its number.
WRITER = """
view = tensord.connect().attach("w/x", mode="r+")
array = view.numpy()
for i in range(1, 1_000_000_000):
    with view.writing():
        array[:] = i
    if i == 1:
        say("begun")
"""


def test_of_many_reads_beside_a_writer_in_another_process_none_is_of_two_versions(store, socket):
    store.put("w/x", np.zeros(64, np.int64), live=True)
    reader = store.attach("w/x")
    with OtherProcess(socket, WRITER) as writer:
        assert writer.hear() == "begun"
        out = np.empty(64, np.int64)
        last = 0
        for _ in range(20_000):
            array, version = reader.read(out)
            assert array.min() == array.max() == version >= last
            last = version
        assert last > 1


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_a_live_tensor_that_is_put_under_another_name_goes_there_as_one_version(store, socket, dtype):
    view = store.put("w/x", np.zeros(20_000, np.int32), live=True)
    with OtherProcess(socket, WRITER) as writer:
        assert writer.hear() == "begun"
        seen = set()
        while len(seen) < 30:
            copy = store.put("copy", view, dtype=dtype, replace=True).numpy()
            assert (copy == copy[0]).all()
            seen.add(int(copy[0]))
