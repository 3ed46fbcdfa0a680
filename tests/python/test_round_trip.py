"""What is put comes out bit for bit: every dtype, every rank, every kind of producer."""

import array
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from other_process import ask_python

import tensord

NUMPY_DTYPES = [
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
FLOAT8_DTYPES = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
TORCH_DTYPES = [*NUMPY_DTYPES, "bfloat16", "complex32", *FLOAT8_DTYPES, "float4_e2m1fn_x2"]
NOT_IN_TORCH = ["float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz"]
DTYPES = [*TORCH_DTYPES, *NOT_IN_TORCH]
SHAPES = [(), (1,), (7,), (3, 4), (2, 1, 5), (0,), (3, 0, 2), (1,) * 16, (2,) * 10 + (1,) * 6]


def numpy_dtype(name):
    """NumPy's own, ml_dtypes's, or the stand-in that says what it stands in for."""
    if name in NUMPY_DTYPES:
        return np.dtype(name)
    if hasattr(ml_dtypes, name):
        return np.dtype(getattr(ml_dtypes, name))
    width = 32 if name == "complex32" else 8
    return np.dtype(f"uint{width}", metadata={"tensord": name})


def same_dtype(left, right):
    return left == right and left.metadata == right.metadata


def random_array(dtype, shape):
    """Random bytes, so NaNs with payloads and denormals too."""
    dtype = numpy_dtype(dtype)
    size_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.random.default_rng(7).integers(0, 2 if dtype == bool else 256, size_bytes, dtype=np.uint8)
    return np.frombuffer(raw.tobytes(), dtype).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_comes_back_bit_for_bit(store, dtype, shape):
    expected = random_array(dtype, shape)
    store.put("a", expected)
    view = store.attach("a")
    got = view.numpy()
    assert same_dtype(got.dtype, expected.dtype) and got.shape == shape
    assert same_dtype(view.clone().dtype, expected.dtype) and view.clone().tobytes() == expected.tobytes()
    assert got.tobytes() == expected.tobytes()
    assert (view.dtype, view.shape, view.nbytes) == (dtype, shape, expected.nbytes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_a_torch_tensor_comes_back_bit_for_bit(store, dtype, shape):
    raw = random_array(dtype, shape)
    expected = torch_tensor(raw, dtype)
    store.put("t", expected)
    view = store.attach("t")
    assert (view.dtype, view.shape, view.itemsize) == (dtype, shape, expected.itemsize)
    for got in (view.torch(), view.clone(torch=True), torch.from_dlpack(view)):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert bytes_of_torch(got) == raw.tobytes()


def torch_tensor(array, dtype):
    raw = torch.from_numpy(array.reshape(-1).view(np.uint8).copy())
    torch_dtype = getattr(torch, dtype)
    # torch widens no empty tensors.
    return raw.view(torch_dtype).reshape(array.shape) if array.size else torch.empty(array.shape, dtype=torch_dtype)


def bytes_of_torch(tensor):
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def all_patterns(dtype):
    """Every byte once, where a byte is an element: so every NaN with its payload."""
    return np.arange(256, dtype=np.uint8).view(numpy_dtype(dtype)) if dtype != "bool" else np.array([False, True])


def test_the_dtypes_of_these_tests_are_all_that_are_held(store):
    with pytest.raises(tensord.UnsupportedTypeError) as caught:
        store.put("a", np.array("text"))
    assert sorted(str(caught.value).partition("It holds ")[2].split(", ")) == sorted(DTYPES)
    page = (Path(__file__).parents[2] / "docs/dtypes.md").read_text()
    table = re.findall(r"^\| (`[^|]+`) \| \d", page, re.MULTILINE)
    assert sorted(" ".join(table).replace("`", "").split()) == sorted(DTYPES)


@pytest.mark.parametrize("dtype", DTYPES)
def test_build_and_info_know_the_dtype_by_its_name(store, dtype):
    with store.build("b", (2, 3), dtype=dtype) as view:
        view.numpy().reshape(-1).view(np.uint8)[:] = 1
    assert store.info("b").dtype == store["b"].dtype == dtype
    assert f" {dtype} (2, 3) sealed" in repr(view)
    assert store["b"].numpy().tobytes() == b"\1" * view.nbytes
    if dtype in TORCH_DTYPES:
        with store.build("t", 4, getattr(torch, dtype)) as view:
            view.torch().view(torch.uint8).fill_(1)
        assert store["t"].dtype == dtype
        assert store["t"].numpy().tobytes() == b"\1" * view.nbytes


def test_every_pattern_of_every_dtype_reaches_another_process(store, socket):
    for dtype in DTYPES:
        store.put(f"numpy/{dtype}", all_patterns(dtype))
        if dtype in TORCH_DTYPES:
            store.put(f"torch/{dtype}", torch_tensor(all_patterns(dtype), dtype))
    told = ask_python(
        socket,
        """
        import torch
        def of_torch(tensor):
            assert str(tensor.dtype) == "torch." + view.dtype
            return tensor.view(torch.uint8).numpy().tobytes().hex()
        told = {}
        with tensord.connect() as store:
            for name, view in store.items():
                told[name] = [view.numpy().tobytes().hex(), view.clone().tobytes().hex()]
                if hasattr(torch, view.dtype):
                    told[name] += [of_torch(view.torch()), of_torch(view.clone(torch=True)),
                                   of_torch(torch.from_dlpack(view))]
                    store.put("again/" + name, view.torch())
                else:
                    store.put("again/" + name, view.numpy())
        say(told)
        """,
    )
    assert len(told) == len(DTYPES) + len(TORCH_DTYPES)
    for name, answers in told.items():
        dtype = name.partition("/")[2]
        assert set(answers) == {all_patterns(dtype).tobytes().hex()}, name
        assert len(answers) == (5 if dtype in TORCH_DTYPES else 2)
        assert store[f"again/{name}"].dtype == dtype
        assert store[f"again/{name}"].numpy().tobytes() == all_patterns(dtype).tobytes()


def test_without_ml_dtypes_arrays_are_the_bits_and_find_their_way_back(store, socket):
    for dtype in DTYPES:
        store.put(f"here/{dtype}", all_patterns(dtype))
    told = ask_python(
        socket,
        """
        sys.modules["ml_dtypes"] = None  # import raises ImportError
        told = {}
        with tensord.connect() as store:
            for name, view in store.items():
                array = view.numpy()
                told[view.dtype] = [str(array.dtype), dict(array.dtype.metadata or {}), array.tobytes().hex()]
                there = "there/" + view.dtype
                store.put(there, array[:])
                assert store[there].dtype == view.dtype
                assert store.build(there + "/built", 3, array.dtype).__enter__().dtype == view.dtype
                assert view.clone().dtype.metadata == np.asarray(view).dtype.metadata == array.dtype.metadata
                if array.dtype.metadata:  # bits that were meant as integers
                    assert store.put(there + "/bits", array.view(array.dtype.str)).dtype == str(array.dtype)
        say(told)
        """,
    )
    assert told.keys() == set(DTYPES)
    for dtype, (name, metadata, patterns) in told.items():
        assert patterns == store[f"there/{dtype}"].numpy().tobytes().hex() == all_patterns(dtype).tobytes().hex()
        if dtype in NUMPY_DTYPES:
            assert (name, metadata) == (dtype, {})
        else:
            assert (name, metadata) == (f"uint{8 * store[f'there/{dtype}'].itemsize}", {"tensord": dtype})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), dtype=st.sampled_from(NUMPY_DTYPES))
def test_any_c_contiguous_array_comes_back_bit_for_bit(store, data, dtype):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=16, min_side=0, max_side=3))
    expected = data.draw(hnp.arrays(dtype, shape))
    with store.put("h", expected, replace=True) as view:
        assert view.numpy().tobytes() == expected.tobytes()
        assert view.numpy().shape == view.torch().shape == expected.shape
        assert view.clone().tobytes() == expected.tobytes()


class OnlyDLPack:
    """A producer that NumPy and torch know nothing of."""

    def __init__(self, tensor, **known):
        self.tensor = tensor
        self.known = known

    def __dlpack__(self, **asked):
        if not set(asked) <= set(self.known):
            raise TypeError("unexpected keyword")
        return self.tensor.__dlpack__(**asked)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


@pytest.mark.parametrize(
    "given, dtype, expected",
    [
        pytest.param(3, "int64", 3, id="int"),
        pytest.param(2.5, "float64", 2.5, id="float"),
        pytest.param(True, "bool", True, id="bool"),
        pytest.param(1 + 2j, "complex128", 1 + 2j, id="complex"),
        pytest.param(np.float32(1.5), "float32", 1.5, id="numpy scalar"),
        pytest.param([[1, 2], [3, 4]], "int64", [[1, 2], [3, 4]], id="list"),
        pytest.param((1.0, 2.0), "float64", [1.0, 2.0], id="tuple"),
        pytest.param([], "float64", [], id="empty list"),
        pytest.param(b"\x01\x02", "uint8", [1, 2], id="bytes"),
        pytest.param(bytearray(b"\x03"), "uint8", [3], id="bytearray"),
        pytest.param(array.array("d", [1.0, 2.0]), "float64", [1.0, 2.0], id="array.array"),
        pytest.param(memoryview(b"\x05\x06"), "uint8", [5, 6], id="memoryview"),
        pytest.param(torch.tensor(4), "int64", 4, id="0-d torch"),
        pytest.param(torch.ones(2, requires_grad=True), "float32", [1.0, 1.0], id="torch with grad"),
        pytest.param(torch.nn.Parameter(torch.zeros(2)), "float32", [0.0, 0.0], id="torch parameter"),
        pytest.param(torch.tensor([1 + 2j]).conj(), "complex64", [1 - 2j], id="lazily conjugated torch"),
        pytest.param(OnlyDLPack(torch.arange(3)), "int64", [0, 1, 2], id="old DLPack"),
        pytest.param(OnlyDLPack(torch.arange(3), max_version=1), "int64", [0, 1, 2], id="DLPack 1"),
    ],
)
def test_other_producers_are_taken_as_they_are(store, given, dtype, expected):
    view = store.put("p", given)
    assert view.dtype == dtype
    assert view.numpy().tolist() == np.asarray(expected).tolist()


def test_a_view_can_be_put_under_another_name(store):
    first = store.put("first", np.arange(6.0).reshape(2, 3))
    second = store.put("second", first)
    assert second.numpy().tolist() == first.numpy().tolist()
    assert second.location != first.location


def test_put_takes_exactly_one_copy(store):
    before = store.stats()
    view = store.put("once", np.zeros((3, 5), np.float32))
    after = store.stats()
    assert view.bytes_copied == 60
    assert after.bytes_copied_in - before.bytes_copied_in == 60
    assert after.bytes_copied_out == before.bytes_copied_out
