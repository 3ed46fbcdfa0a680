"""What is put comes out bit for bit: every dtype, every rank, every kind of producer."""

import array

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NUMPY_DTYPES = [
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
DTYPES = [*NUMPY_DTYPES, "bfloat16"]
SHAPES = [(), (1,), (7,), (3, 4), (2, 1, 5), (0,), (3, 0, 2), (1,) * 16, (2,) * 10 + (1,) * 6]


def numpy_dtype(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


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
    assert got.dtype == expected.dtype and got.shape == shape
    assert got.tobytes() == expected.tobytes()
    assert (view.dtype, view.shape, view.nbytes) == (dtype, shape, expected.nbytes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_torch_tensor_comes_back_bit_for_bit(store, dtype, shape):
    raw = random_array(dtype, shape)
    bytes_of = torch.from_numpy(raw.reshape(-1).view(np.uint8).copy())
    torch_dtype = getattr(torch, dtype)
    # torch reinterprets no empty tensors.
    expected = bytes_of.view(torch_dtype).reshape(shape) if raw.size else torch.empty(shape, dtype=torch_dtype)
    store.put("t", expected)
    got = store.attach("t").torch()
    assert got.dtype == expected.dtype and tuple(got.shape) == shape
    if raw.size:
        assert got.reshape(-1).view(torch.uint8).numpy().tobytes() == raw.tobytes()


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
