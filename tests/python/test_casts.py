"""put(dtype=...): converted while copying, as astype() and to() do it, with nothing in between."""

import array

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from other_process import ask_python

import tensord

NUMPY_DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64"]
TORCH_DTYPES = [*NUMPY_DTYPES, "bfloat16", "float8_e4m3fn", "float8_e5m2"]

ordinary = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def bytes_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def numpy_dtype(name):
    return np.dtype(getattr(ml_dtypes, name, name))


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("to", TORCH_DTYPES)
@pytest.mark.parametrize("given_dtype", NUMPY_DTYPES)
def test_numpy_arrays_become_what_astype_gives(store, given_dtype, to):
    values = np.array([[0, 1, 2.75, 3], [100, 5, 0.125, 7]]).astype(given_dtype)
    for source in (values, values.T, values[:, ::2], values[::-1], values[0, 1]):
        view = store.put("a", source, dtype=to, replace=True)
        expected = source.astype(numpy_dtype(to))
        assert (view.dtype, view.shape, view.bytes_copied) == (to, source.shape, expected.nbytes)
        assert view.numpy().tobytes() == expected.tobytes()
        assert view.strides == store.put("plain", source, replace=True).strides


@pytest.mark.parametrize("to", TORCH_DTYPES)
@pytest.mark.parametrize("given_dtype", TORCH_DTYPES)
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_torch_tensors_become_what_to_gives(store, given_dtype, to):
    values = torch.tensor([[0, 1, 2.75, 3], [100, 5, 0.125, 7]]).to(getattr(torch, given_dtype))
    for source in (values, values.T, values[:, ::2], values[0, 1]):
        expected = source.to(getattr(torch, to))
        view = store.put("t", source, dtype=to, replace=True)
        assert (view.dtype, view.shape) == (to, tuple(source.shape))
        assert bytes_of(view.torch()) == bytes_of(expected)
        assert view.strides == store.put("plain", source, replace=True).strides


@ordinary
@given(
    array=hnp.arrays(
        st.sampled_from(["i2", "f4", "f8"]), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    ),
    to=st.sampled_from(["float32", "float64", "int8", "complex64"]),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_arrays_of_any_shape_are_converted(store, array, to):
    view = store.put("a", array.T, dtype=to, replace=True)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = array.T.astype(to)
    assert view.shape == expected.shape and view.numpy().tobytes() == expected.tobytes()


def test_the_same_dtype_is_a_plain_copy_of_the_bytes(store):
    nans = np.frombuffer(b"\x01\x00\xa0\x7f\x02\x00\xc0\xff", "f4")  # a signalling NaN and a quiet one
    assert store.put("a", nans, dtype="float32").numpy().tobytes() == nans.tobytes()
    assert store.put("t", torch.tensor([1.5]).bfloat16(), dtype=torch.bfloat16).torch().tolist() == [1.5]


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("f4"), torch.float32], ids=repr)
def test_the_dtype_is_given_in_any_of_the_usual_words(store, dtype):
    assert store.put("a", [1, 2], dtype=dtype).dtype == "float32"


def test_what_tensord_does_not_hold_is_put_by_converting_it(store):
    for source, to, expected in [
        (np.array([1.5, 2], np.longdouble), "float64", [1.5, 2]),
        (np.array([1, 2], ">i4"), "int32", [1, 2]),
        (np.array([1, 2.5], object), "float32", [1, 2.5]),
        (np.array(["1.5", "-2"]), "float32", [1.5, -2]),
        (np.array(["2020-01-02"], "M8[D]"), "int64", [18263]),
        (1 << 70, "float64", [float(1 << 70)]),
        (np.array([0.5, 1], ml_dtypes.float4_e2m1fn), "float32", [0.5, 1]),
    ]:
        view = store.put("a", source, dtype=to, replace=True)
        assert view.dtype == to and view.numpy().reshape(-1).tolist() == expected


class Producer:
    """Any library's tensor, by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_all_that_put_takes_is_converted(store):
    view = store.put("source", np.arange(4, dtype=np.int16))
    table = np.zeros(3, [("flag", "u1"), ("value", "f4")])
    table["value"] = [1, 2, 3]
    for source, expected in [
        (view, [0, 1, 2, 3]),
        (view[::2], [0, 2]),
        (Producer(np.arange(6)[::-2]), [5, 3, 1]),
        (array.array("h", [3, 4]), [3, 4]),
        (memoryview(b"\x05\x06"), [5, 6]),
        ([7, 8], [7, 8]),
        (table["value"], [1, 2, 3]),
        (table["value"][::-1], [3, 2, 1]),
    ]:
        put = store.put("a", source, dtype="float64", replace=True)
        assert (put.dtype, put.numpy().tolist(), put.bytes_copied) == ("float64", expected, 8 * len(expected))


def test_live_tensors_lifetimes_and_replacements_go_with_it(store):
    old = store.put("a", [1])
    view = store.put("a", [1, 2], dtype="float32", replace=True, live=True, lifetime="client")
    assert (view.kind, view.mode, store.info("a").lifetime) == ("live", "r+", "client")
    view.numpy()[0] = 0.5
    assert store["a"].numpy().tolist() == [0.5, 2] and old.numpy().tolist() == [1]


def test_lazy_conjugates_are_converted_in_place(store):
    tensor = torch.tensor([1 + 2j, 3 - 4j]).conj()
    assert tensor.is_conj()
    assert store.put("a", tensor, dtype="complex128").numpy().tolist() == [1 - 2j, 3 + 4j]


def test_a_tensor_with_a_gradient_is_detached(store):
    assert store.put("a", torch.ones(2, requires_grad=True), dtype="float64").numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    "given, to, error, text",
    [
        (np.array([object()]), "float32", tensord.InvalidArgumentError, "do not become float32"),
        (np.array(["no number"]), "float32", tensord.InvalidArgumentError, "do not become float32.*no number"),
        (np.zeros(2, [("x", "f4"), ("y", "f4")]), "float32", tensord.InvalidArgumentError, "do not become float32"),
        ([None], "int8", tensord.InvalidArgumentError, "do not become int8"),
        (np.ma.array([1, 2], mask=[0, 1]), "float32", tensord.UnsupportedTypeError, "array.mask"),
        (torch.eye(2).to_sparse(), "float64", tensord.UnsupportedTypeError, "to_dense"),
        (torch.zeros(2, device="meta"), "float64", tensord.UnsupportedTypeError, "meta"),
        (np.zeros((1,) * 17), "float32", tensord.LimitReachedError, "17 dimensions"),
        (torch.zeros((1,) * 17), "float64", tensord.LimitReachedError, "17 dimensions"),
        ("text", "float32", tensord.UnsupportedTypeError, "cannot put a str"),
        ([1], "O", tensord.UnsupportedTypeError, "does not hold"),
        ([1], "no such", tensord.UnsupportedTypeError, "does not hold"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_converted_publishes_nothing(store, given, to, error, text):
    before = store.stats()
    with pytest.raises(error, match=text):
        store.put("a", given, dtype=to)
    after = store.stats()
    assert "a" not in store
    assert (after.used_bytes, after.building_tensors) == (before.used_bytes, 0)


def test_a_conversion_that_fails_half_way_keeps_what_was_there(store):
    store.put("a", [1, 2])
    with pytest.raises(tensord.InvalidArgumentError):
        store.put("a", np.array([1, "x"], object), dtype="float32", replace=True)
    assert store["a"].numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    "make",
    [
        "np.ones(1 << 23, np.float32)",
        "np.ones((1 << 11, 1 << 12), np.float32).T",
        "np.ones(1 << 24, np.float32)[::-2]",
        "np.ones(1 << 23, '>f4')",
        "np.ones(1 << 23, [('flag', 'u1'), ('value', 'f4')])['value']",
        "torch.ones(1 << 23)",
        "torch.ones(1 << 11, 1 << 12).T",
        "torch.ones(1 << 23).bfloat16()",
        "store.put('source', np.ones(1 << 23, np.float32))",
    ],
)
def test_a_conversion_takes_no_memory_of_its_own(store, socket, make):
    """64 MiB come out while the process may have 8 MiB more of private memory than before."""
    copied, whole, refused = ask_python(
        socket,
        f"""
        import resource, torch
        store = tensord.connect()
        source = {make}
        store.put("a", source, dtype="float64")  # threads, and what is imported on first use
        with open("/proc/self/status") as status:
            private_kib = int(next(line for line in status if line.startswith("VmData")).split()[1])
        resource.setrlimit(resource.RLIMIT_DATA, ((private_kib << 10) + (8 << 20),) * 2)
        view = store.put("a", source, dtype="float64", replace=True)
        try:
            view.clone()
            refused = False
        except MemoryError:
            refused = True
        say([view.bytes_copied, bool(view.numpy().min() == view.numpy().max() == 1), refused])
        """,
    )
    assert copied == 64 << 20 and whole
    assert refused, "the limit on private memory does not work here"
