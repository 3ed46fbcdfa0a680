"""Every layout: what is put comes out bit for bit, dense strides are kept, and parts of a view are views."""

import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from other_process import OtherProcess, ask_python

import tensord

# Widths of 1, 2, 4, 8 and 16 bytes, and types whose NaNs have payloads.
DTYPES = [
    *map(np.dtype, ["bool", "int8", "uint16", "int32", "float16", "float32", "float64", "complex64", "complex128"]),
    *map(np.dtype, [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]),
]

few = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
fewer = settings(few, max_examples=15)


def random_elements(dtype, count, seed):
    """Any bytes: NaNs with payloads, infinities, denormals."""
    raw = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, dtype=np.uint8)
    return raw.view(dtype) if dtype != bool else raw % 2 == 1


@st.composite
def arrays(draw, dtypes=DTYPES, max_dims=5):
    """Any layout that NumPy makes of one block: permuted, sliced, reversed, broadcast, or none of it."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.lists(st.integers(0, 4), max_size=max_dims))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3, -1, -2]), min_size=len(shape), max_size=len(shape)))
    order = draw(st.permutations(range(len(shape))))
    block = [abs(step) * length for step, length in zip(steps, shape, strict=True)]
    whole = random_elements(dtype, int(np.prod(block, dtype=int)), draw(st.integers(0, 9))).reshape(block)
    # The ellipsis keeps what has no dimensions an array.
    array = whole[(..., *(slice(None, None, step) for step in steps))].transpose(order)
    for dim in range(array.ndim):
        if array.shape[dim] and draw(st.integers(0, 9)) == 0:
            array = np.broadcast_to(array[(slice(None),) * dim + (slice(0, 1),)], array.shape)
    # The stride of one element is never taken, so it may be anything. (as_strided knows NumPy's own dtypes only.)
    if array.dtype.isbuiltin == 1 and draw(st.integers(0, 9)) == 0:
        odd = tuple(
            draw(st.sampled_from([0, -1, 1, 3, 1 << 40])) * dtype.itemsize if length == 1 else stride
            for length, stride in zip(array.shape, array.strides, strict=True)
        )
        array = np.lib.stride_tricks.as_strided(array, array.shape, odd)
    return array


def is_dense(array):
    """Every element once, without gaps, none backwards: told by the places themselves."""
    places = np.zeros(array.shape, np.int64)
    for dim, stride in enumerate(array.strides):
        along = np.arange(array.shape[dim]) * (stride if array.shape[dim] > 1 else 0)
        places += along.reshape((-1,) + (1,) * (array.ndim - dim - 1))
    return sorted(places.flat) == list(range(0, array.nbytes, array.itemsize))


def strides_that_count(array_or_view, shape, unit=1):
    """In elements; without those of dimensions of one element."""
    if 0 in shape:
        return None
    return [s // unit for s, length in zip(array_or_view.strides, shape, strict=True) if length != 1]


def kept_order(array):
    """The strides of a packed copy, as torch lays it out; without those of dimensions of one element."""
    if array.size == 0:
        return None
    magnitudes = [abs(stride) // array.itemsize for stride in array.strides]
    storage = sum((length - 1) * stride for length, stride in zip(array.shape, magnitudes, strict=True)) + 1
    like = torch.empty(storage, dtype=torch.uint8).as_strided(array.shape, magnitudes)
    return [s for s, length in zip(torch.empty_like(like).stride(), array.shape, strict=True) if length != 1]


@few
@given(array=arrays())
def test_an_array_of_any_layout_comes_back_bit_for_bit(store, array):
    put = store.put("a", array, replace=True)
    for view in (put, store.attach("a")):
        assert (view.shape, view.nbytes, view.size) == (array.shape, array.nbytes, array.size)
        assert view.numpy().tobytes() == array.tobytes()
        assert view.numpy().strides == tuple(stride * view.itemsize for stride in view.strides)
        assert is_dense(view.numpy()) and all(stride > 0 for stride in view.strides)
        copy = view.clone()
        assert copy.tobytes() == array.tobytes() and copy.flags.owndata and copy.flags.writeable
        assert strides_that_count(copy, array.shape) == strides_that_count(view.numpy(), array.shape)
    assert put.bytes_copied == 2 * array.nbytes  # put, and clone


@few
@given(array=arrays())
def test_strides_without_gaps_are_kept_and_others_packed_in_their_order(store, array):
    view = store.put("a", array, replace=True)
    if is_dense(array):
        assert strides_that_count(view, array.shape) == strides_that_count(array, array.shape, array.itemsize)
    expected = kept_order(array)
    if expected is not None:
        assert strides_that_count(view, array.shape) == expected


@few
@given(array=arrays(dtypes=[np.dtype("float32"), np.dtype("int64"), np.dtype("complex64")]))
def test_torch_sees_the_same_elements_in_the_same_order(store, array):
    # NumPy packs, as torch has no negative strides.
    tensor = torch.from_numpy(np.array(array, order="K"))
    view = store.put("t", tensor, replace=True)
    for got in (view.torch(), view.clone(torch=True), torch.from_dlpack(view)):
        assert got.contiguous().numpy().tobytes() == array.tobytes()
        assert got.stride() == view.strides
        # torch itself hands out 1 for the strides of dimensions of one element.
        taken = [dim for dim in range(array.ndim) if array.size and array.shape[dim] > 1]
        assert [got.stride(dim) for dim in taken] == [tensor.stride(dim) for dim in taken]


@few
@given(array=arrays())
def test_buffers_carry_the_strides(store, array):
    view = store.put("a", array, replace=True)
    if view.dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        return  # the buffer protocol has no word for them
    buffer = memoryview(view)
    assert buffer.tobytes() == array.tobytes()
    assert (buffer.shape, buffer.nbytes) == (array.shape, array.nbytes)
    assert buffer.c_contiguous == view.numpy().flags.c_contiguous
    assert buffer.f_contiguous == view.numpy().flags.f_contiguous


@fewer
@given(batch=st.lists(arrays(), min_size=1, max_size=20))
def test_another_process_sees_the_same_layouts_and_puts_them_again(store, socket, batch):
    for name in list(store):
        store.delete(name)
    for i, array in enumerate(batch):
        store.put(f"here/{i}", array)
    told = ask_python(
        socket,
        """
        told = []
        with tensord.connect() as store:
            for i in range(len(store)):
                view = store[f"here/{i}"]
                told.append([view.numpy().tobytes().hex(), view.clone().tobytes().hex(), view.strides])
                store.put(f"there/{i}", view)
        say(told)
        """,
    )
    for i, (array, (numpy, clone, strides)) in enumerate(zip(batch, told, strict=True)):
        assert numpy == clone == array.tobytes().hex()
        assert tuple(strides) == store[f"here/{i}"].strides == store[f"there/{i}"].strides
        assert store[f"there/{i}"].numpy().tobytes() == array.tobytes()


# ---- parts of views -----------------------------------------------------------------------------


def keys(shape):
    """An index of any kind that gives a view, for an array of this shape."""

    def of(length):
        slices = st.slices(length).map(lambda s: slice(s.start, s.stop, abs(s.step) if s.step else s.step))
        return slices if length == 0 else slices | st.integers(-length, length - 1)

    @st.composite
    def make(draw):
        taken = draw(st.integers(0, len(shape)))
        gap = draw(st.integers(0, taken))
        key = [draw(of(length)) for length in shape[:gap]]
        if taken < len(shape) or draw(st.booleans()):
            key.append(Ellipsis)
        key += [draw(of(length)) for length in shape[len(shape) - (taken - gap) :]]
        for _ in range(draw(st.integers(0, 2))):
            key.insert(draw(st.integers(0, len(key))), None)
        return key[0] if len(key) == 1 else tuple(key)

    return make()


@few
@given(data=st.data(), array=arrays())
def test_a_part_of_a_view_is_what_numpy_gives_without_a_copy(store, data, array):
    view = store.put("a", array, replace=True)
    key = data.draw(keys(array.shape), label="key")
    whole = key if isinstance(key, tuple) else (key,)
    if Ellipsis not in whole:
        whole = (*whole, Ellipsis)  # also of one element NumPy gives an array then
    part, expected = view[key], view.numpy()[whole]
    assert (part.shape, part.nbytes, part.bytes_copied) == (expected.shape, expected.nbytes, 0)
    assert part.numpy().tobytes() == part.clone().tobytes() == array[key].tobytes()
    assert strides_that_count(part.numpy(), part.shape) == strides_that_count(expected, part.shape)
    if expected.size:
        assert part.numpy().ctypes.data == expected.ctypes.data
    assert (part.name, part.dtype, part.kind, part.mode) == ("a", view.dtype, "sealed", "r")
    assert part.generation == view.generation
    again = data.draw(keys(part.shape), label="key of the part")
    assert part[again].numpy().tobytes() == array[key][again].tobytes()
    arrived = pickle.loads(pickle.dumps(part))
    assert (arrived.location, arrived.shape, arrived.strides) == (part.location, part.shape, part.strides)
    assert arrived.numpy().tobytes() == array[key].tobytes()
    put = store.put("part", part, replace=True)
    assert put.numpy().tobytes() == array[key].tobytes()


def test_a_part_holds_the_tensor_by_itself(store):
    array = np.arange(12).reshape(3, 4)
    view = store.put("a", array)
    row = view[1]
    view.close()
    store.delete("a")
    assert store.stats().dying_tensors == 1
    assert row.numpy().tolist() == [4, 5, 6, 7] and row[2].numpy() == 6


def test_one_element_is_a_view_of_no_dimensions(store):
    view = store.put("a", np.arange(6.0).reshape(2, 3))
    element = view[1, 2]
    assert (element.shape, element.strides, element.size, element.nbytes) == ((), (), 1, 8)
    assert element.numpy() == element.clone() == 5
    assert element.torch().item() == 5
    assert element[...].numpy() == element[()].numpy() == 5
    assert element[None].shape == (1,)


def test_a_view_is_a_sequence_of_its_rows(store):
    array = np.arange(6).reshape(3, 2)
    view = store.put("a", array)
    assert len(view) == 3
    assert [row.numpy().tolist() for row in view] == array.tolist()
    assert [row.numpy().tolist() for row in reversed(view)] == array[::-1].tolist()
    first, *others = view
    assert isinstance(first, tensord.View) and len(others) == 2
    assert 5 in view and 6 not in view
    assert list(store.put("b", np.zeros((0, 3)))) == []


def test_a_view_of_no_dimensions_has_no_length_and_ends_no_loop(store):
    scalar = store.put("a", 1)
    for use in (len, iter, list):
        with pytest.raises(TypeError, match="0 dimensions"):
            use(scalar)


def test_the_truth_of_a_view_is_that_of_its_one_element(store):
    assert store.put("a", 1) and not store.put("b", [0.0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(store.put("c", [1, 2]))


@pytest.mark.parametrize(
    "key, text",
    [
        (3, "index 3 is out of range: dimension 0 has 3 elements"),
        (-4, "index -4 is out of range"),
        ((0, 4), "index 4 is out of range: dimension 1 has 4 elements"),
        (1 << 70, "out of range"),
        (-(1 << 70), "out of range"),
        ((0, 0, 0), r"too many indices: 3 for a view of 2 dimensions, of shape \(3, 4\)"),
        ((..., ...), "one ellipsis"),
    ],
    ids=str,
)
def test_what_a_view_does_not_have_is_an_index_error(store, key, text):
    view = store.put("a", np.zeros((3, 4)))
    with pytest.raises(tensord.OutOfRangeError, match=text) as caught:
        view[key]
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(
    "key, text",
    [
        (slice(None, None, -1), "a step of -1"),
        ((0, slice(3, 0, -2)), "a step of -2"),
        ([0, 2], "a list as index"),
        (np.array([0, 2]), r"a numpy\.ndarray as index"),
        (torch.tensor([0, 2]), "a Tensor as index"),
        (True, "a bool as index"),
        (np.True_, "as index"),
        (1.0, "a float as index"),
        ("name", "a str as index"),
    ],
    ids=repr,
)
def test_what_only_a_copy_could_give_names_both_ways_out(store, key, text):
    view = store.put("a", np.zeros((3, 4)))
    ways_out = r".*view\.numpy\(\)\[\.\.\.\].*view\.clone\(\)\[\.\.\.\]"
    with pytest.raises(tensord.WouldCopyError, match=text + ways_out):
        view[key]


def test_a_slice_with_a_step_of_zero_is_refused_as_everywhere(store):
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        store.put("a", [1, 2])[::0]


def test_numbers_of_numpy_and_torch_are_indices_too(store):
    view = store.put("a", [5, 6, 7])
    for one in (np.int64(1), np.array(1), torch.tensor(1)):
        assert view[one].numpy() == 6


def test_parts_of_a_live_tensor_are_written_for_all(store, socket):
    view = store.put("live", np.zeros((3, 4)), live=True)
    column = view[:, 1]
    column.numpy()[:] = 1
    view[::2].torch()[:, 3] = 2
    assert ask_python(socket, "say(tensord.connect()['live'].numpy().tolist())") == [
        [0, 1, 0, 2],
        [0, 1, 0, 0],
        [0, 1, 0, 2],
    ]
    assert (column.mode, column.version) == ("r+", 0)
    with column.writing():
        column.numpy()[:] = 3
    assert view.version == column.version == 1
    with pytest.raises(tensord.WouldCopyError, match=r'attached "r"'):
        store["live"][0].torch()


def test_torch_of_a_part_is_a_private_mapping_of_its_own(store):
    view = store.put("a", np.arange(12).reshape(3, 4))
    whole = view.torch()
    part = view[1]
    part.torch()[:] = -1
    assert part.torch().tolist() == [-1] * 4
    assert whole.tolist() == view.numpy().tolist() == np.arange(12).reshape(3, 4).tolist()
    whole[:] = -2
    assert view[1].torch().tolist() == part.numpy().tolist() == [4, 5, 6, 7]


def test_a_part_of_a_tensor_in_the_making_says_what_to_do(store):
    with store.build("a", (2, 3), "int8") as view:
        with pytest.raises(tensord.InvalidArgumentError, match="not published yet"):
            view[0]
        view.numpy()[0] = 1
        view.numpy()[1] = 2
    assert view[1].numpy().tolist() == [2, 2, 2]


def test_a_closed_view_has_no_parts(store):
    view = store.put("a", [1])
    view.close()
    for use in (lambda: view[0], lambda: len(view), lambda: list(view), lambda: view.as_strided((), ())):
        with pytest.raises(tensord.InvalidArgumentError, match="closed"):
            use()


def test_as_strided_gives_any_layout_inside(store):
    view = store.put("a", np.arange(12))
    windows = view.as_strided((10, 3), (1, 1))
    assert windows.numpy().tolist() == [[i, i + 1, i + 2] for i in range(10)]
    assert windows.clone().tolist() == windows.numpy().tolist() and windows.nbytes == 10 * 3 * 8
    assert view.as_strided((2, 3), (0, 4), offset=1).numpy().tolist() == [[1, 5, 9]] * 2
    assert view[3:].as_strided((2,), (1,)).numpy().tolist() == [3, 4]
    for shape, strides, offset in [((13,), (1,), 0), ((2,), (12,), 0), ((1,), (1,), 12), ((1,), (1,), -1)]:
        with pytest.raises(tensord.InvalidArgumentError, match="outside"):
            view.as_strided(shape, strides, offset)
    with pytest.raises(tensord.InvalidArgumentError, match="negative stride"):
        view.as_strided((2,), (-1,), 5)
    with pytest.raises(tensord.InvalidArgumentError, match="as many strides as dimensions"):
        view.as_strided((2,), ())


# ---- building -----------------------------------------------------------------------------------


def test_a_tensor_is_built_in_fortran_order(store):
    with store.build("f", (2, 3, 4), "float32", order="F") as view:
        assert view.strides == (1, 2, 6) and view.numpy().flags.f_contiguous
        view.numpy()[:] = np.arange(24).reshape(2, 3, 4)
    view = store["f"]
    assert view.strides == (1, 2, 6) and view.torch().stride() == (1, 2, 6)
    assert (view.numpy() == np.arange(24).reshape(2, 3, 4)).all()
    with store.build("c", (2, 3), "int8", order="C") as view:
        assert view.strides == (3, 1)


def test_a_tensor_is_built_with_strides_that_leave_gaps(store):
    with store.build("rows", (3, 2), "int64", strides=(8, 1)) as view:
        assert (view.strides, view.nbytes, view.numpy().nbytes) == ((8, 1), 48, 48)
        view.numpy()[:] = [[1, 2], [3, 4], [5, 6]]
        view.torch()[2, 1] = 7
    view = store["rows"]
    assert (view.strides, view.nbytes) == ((8, 1), 48)
    assert view.numpy().tolist() == view.torch().tolist() == [[1, 2], [3, 4], [5, 7]]
    assert (view.clone().strides, view.clone(torch=True).stride()) == ((16, 8), (2, 1))
    assert store.put("packed", view).strides == (2, 1)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"order": "K"}, 'order is "C" .* or "F" .*, not \'K\''),
        ({"order": None}, "not None"),
        ({"order": "F", "strides": (1, 2)}, "give one of them"),
        ({"strides": (1,)}, "as many strides as dimensions"),
        ({"strides": (-3, 1)}, "negative stride"),
        ({"strides": (0, 1)}, "share a place"),
        ({"strides": (1, 1)}, "share a place"),
        ({"strides": (1 << 62, 1)}, "64 bits can address"),
        ({"strides": "31"}, "a number or a sequence"),
    ],
    ids=str,
)
def test_impossible_layouts_are_refused(store, arguments, text):
    with pytest.raises(tensord.InvalidArgumentError, match=text):
        store.build("made", (2, 3), "float32", **arguments)
    assert store.stats().building_tensors == 0


# ---- layouts of special interest ------------------------------------------------------------------


def test_a_field_of_a_structured_array_is_put_from_where_it_lies(store):
    table = np.zeros(5, [("flag", "u1"), ("value", "f4"), ("pair", "i2", 2)])
    table["value"] = np.frombuffer(b"\x01\x00\xc0\x7f" * 5, "f4")  # NaNs with a payload
    table["pair"] = np.arange(10).reshape(5, 2)
    for field in ("value", "pair"):
        for array in (table[field], table[field][::-1], table[field][1:2]):
            view = store.put("a", array, replace=True)
            assert view.numpy().tobytes() == array.tobytes() and view.bytes_copied == array.nbytes
            assert view.numpy().flags.c_contiguous


def test_channels_last_images_stay_channels_last(store):
    images = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    view = store.put("images", images)
    assert view.torch().is_contiguous(memory_format=torch.channels_last)
    assert view.clone(torch=True).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(view.torch(), images)


def test_every_order_of_three_dimensions_is_kept(store):
    array = np.arange(24).reshape(2, 3, 4)
    for order in itertools.permutations(range(3)):
        permuted = array.transpose(order)
        view = store.put("a", permuted, replace=True)
        assert view.numpy().strides == permuted.strides
        assert view.numpy().tolist() == permuted.tolist()


def test_a_view_pickled_as_a_part_arrives_as_that_part(store, socket):
    view = store.put("a", np.arange(12).reshape(3, 4))
    sent = pickle.dumps([view[1:, ::2], view[0, 0], view.as_strided((2, 2), (0, 1), 3)])
    with OtherProcess(
        socket,
        f"""
        import pickle
        say([view.numpy().tolist() for view in pickle.loads({sent!r})])
        """,
    ) as other:
        assert other.hear() == [[[4, 6], [8, 10]], 0, [[3, 4], [3, 4]]]


def test_a_part_of_a_replaced_tensor_is_not_taken_for_one_of_the_new(store):
    sent = pickle.dumps(store.put("a", np.zeros((3, 4)))[1])
    store.put("a", np.ones((3, 4)), replace=True)
    with pytest.raises(tensord.NotFoundError, match="'a' was replaced"):
        pickle.loads(sent)


def test_a_tensor_of_the_same_name_shape_and_place_is_told_from_the_one_that_was_sent(store):
    view = store.put("a", np.zeros(100))
    sent, location, generation = pickle.dumps(view), view.location, view.generation
    view.close()
    store.delete("a")
    again = store.put("a", np.ones(100))
    assert again.location == location and again.generation != generation
    with pytest.raises(tensord.NotFoundError, match="'a' was replaced"):
        pickle.loads(sent)
