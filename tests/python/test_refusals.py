"""What put() refuses: each with a text that says what to do, and nothing lost."""

import datetime

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import tensord


def fake_tensor():
    with FakeTensorMode():
        return torch.zeros(3)


REFUSED = {
    # id: (what is put, error, what the text says)
    "object array": (np.array([object()]), tensord.UnsupportedTypeError, "dtype object.*convert to numbers"),
    "str array": (np.array(["ab"]), tensord.UnsupportedTypeError, "<U2.*encoded bytes"),
    "bytes array": (np.array([b"ab"]), tensord.UnsupportedTypeError, "S2.*encoded bytes"),
    "structured array": (np.zeros(2, [("x", "f4")]), tensord.UnsupportedTypeError, "each field under a name"),
    "void array": (np.zeros(2, "V3"), tensord.UnsupportedTypeError, "V3"),
    "datetime array": (np.zeros(2, "M8[s]"), tensord.UnsupportedTypeError, r'datetime64\[s\].*view\("int64"\)'),
    "timedelta array": (np.zeros(2, "m8[s]"), tensord.UnsupportedTypeError, r"timedelta64\[s\]"),
    "long double": (np.zeros(2, np.longdouble), tensord.UnsupportedTypeError, "float128.*astype"),
    "big-endian": (np.zeros(2, ">f4"), tensord.UnsupportedTypeError, ">f4, of foreign byte order.*newbyteorder"),
    "int4 of ml_dtypes": (np.zeros(2, ml_dtypes.int4), tensord.UnsupportedTypeError, "dtype int4.*It holds bool"),
    "float4 of ml_dtypes": (
        np.zeros(2, ml_dtypes.float4_e2m1fn),  # a byte for each, not for two
        tensord.UnsupportedTypeError,
        "dtype float4_e2m1fn. It holds",
    ),
    "big-endian bfloat16": (
        np.zeros(2, np.dtype(ml_dtypes.bfloat16).newbyteorder(">")),
        tensord.UnsupportedTypeError,
        "foreign byte order.*newbyteorder",
    ),
    "stand-in for nothing": (
        np.zeros(2, np.dtype("uint16", metadata={"tensord": "float17"})),
        tensord.UnsupportedTypeError,
        "uint16 with the metadata.*'float17'.*must name a dtype of the same width",
    ),
    "stand-in of another width": (
        np.zeros(2, np.dtype("uint16", metadata={"tensord": "float8_e5m2"})),
        tensord.UnsupportedTypeError,
        "'float8_e5m2'.*same width",
    ),
    "signed stand-in": (
        np.zeros(2, np.dtype("int16", metadata={"tensord": "bfloat16"})),
        tensord.UnsupportedTypeError,
        "int16.*unsigned integers",
    ),
    "stand-in by number": (
        np.zeros(2, np.dtype("uint16", metadata={"tensord": 4})),
        tensord.UnsupportedTypeError,
        '"tensord": 4: that must name a dtype',
    ),
    "big-endian stand-in": (
        np.zeros(2, np.dtype("uint16", metadata={"tensord": "bfloat16"}).newbyteorder(">")),
        tensord.UnsupportedTypeError,
        "foreign byte order",
    ),
    "masked array": (np.ma.array([1, 2], mask=[0, 1]), tensord.UnsupportedTypeError, "array.mask"),
    "sparse torch": (torch.eye(2).to_sparse(), tensord.UnsupportedTypeError, r"sparse_coo.*to_dense"),
    "bits of torch": (
        torch.zeros(2, dtype=torch.uint8).view(torch.bits8),
        tensord.UnsupportedTypeError,
        r"dtype torch\.bits8.*tensor\.view\(torch\.uint8\)",
    ),
    "int4 of torch": (
        torch.zeros(2, dtype=torch.int8).view(torch.int4),  # torch would hand it out as int8
        tensord.UnsupportedTypeError,
        r"dtype torch\.int4.*tensor\.view\(torch\.uint8\)",
    ),
    "quantized torch": (
        torch._empty_affine_quantized([2], scale=1.0, zero_point=0, dtype=torch.quint8),
        tensord.UnsupportedTypeError,
        r"dtype torch\.quint8.*tensor\.int_repr\(\)",
    ),
    "fake torch": (fake_tensor(), tensord.UnsupportedTypeError, "FakeTensor.*no elements in memory"),
    "meta torch": (torch.zeros(2, device="meta"), tensord.UnsupportedTypeError, r"meta.*tensor\.cpu\(\)"),
    "17 dimensions": (np.zeros((1,) * 17), tensord.LimitReachedError, "17 dimensions.*16.*reshape"),
    "17 dimensions of torch": (torch.zeros((1,) * 17), tensord.LimitReachedError, "17 dimensions"),
    "ragged list": ([[1], [2, 3]], tensord.InvalidArgumentError, "numpy.asarray makes no array of this list"),
    "list of text": (["a"], tensord.UnsupportedTypeError, "<U1"),
    "huge int": (1 << 100, tensord.UnsupportedTypeError, "dtype object"),
    "str": ("text", tensord.UnsupportedTypeError, "cannot put a str"),
    "None": (None, tensord.UnsupportedTypeError, "cannot put a NoneType"),
    "dict": ({"a": 1}, tensord.UnsupportedTypeError, "cannot put a dict"),
    "date": (datetime.date(2020, 1, 1), tensord.UnsupportedTypeError, "cannot put a datetime.date"),
}


@pytest.mark.parametrize("given, error, text", REFUSED.values(), ids=REFUSED.keys())
def test_put_refuses(store, given, error, text):
    before = store.stats()
    with pytest.raises(error, match=text):
        store.put("refused", given)
    after = store.stats()
    assert "refused" not in store
    assert (after.used_bytes, after.building_tensors) == (before.used_bytes, 0)


class Foreign:
    """A DLPack producer with a defect."""

    def __init__(self, device=(1, 0), capsule=None):
        self.device, self.capsule = device, capsule

    def __dlpack__(self, **_):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


def test_put_refuses_other_devices(store):
    with pytest.raises(tensord.UnsupportedTypeError, match="device type 2.*copy it to the CPU"):
        store.put("gpu", Foreign(device=(2, 0)))


def test_put_refuses_what_is_no_capsule(store):
    with pytest.raises(tensord.UnsupportedTypeError, match="did not return a DLPack capsule"):
        store.put("bad", Foreign(capsule=7))


def test_errors_of_a_producer_come_through(store):
    class Broken(Foreign):
        def __dlpack__(self, **_):
            raise ZeroDivisionError("theirs")

    with pytest.raises(ZeroDivisionError, match="theirs"):
        store.put("bad", Broken())


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "a\0b", "a\nb", "x" * 256], ids=repr)
def test_bad_names_are_refused(store, name):
    with pytest.raises(tensord.InvalidArgumentError):
        store.put(name, 1)
    with pytest.raises(tensord.InvalidArgumentError):
        store.attach(name)
    assert name not in store


def test_bad_words_are_refused_with_the_good_ones(store):
    store.put("a", 1)
    with pytest.raises(tensord.InvalidArgumentError, match="""mode is "r" .* or "r\\+" .*, not 'w'"""):
        store.attach("a", "w")
    with pytest.raises(tensord.InvalidArgumentError, match="""lifetime is "store" .* or "client".*, not 'daemon'"""):
        store.put("b", 1, lifetime="daemon")
    with pytest.raises(tensord.InvalidArgumentError, match="not None"):
        store.attach("a", mode=None)


def test_an_existing_name_is_kept(store):
    store.put("a/b", [1, 2])
    with pytest.raises(tensord.AlreadyExistsError, match="a/b.*replace"):
        store.put("a/b", [3])
    assert store["a/b"].numpy().tolist() == [1, 2]


def test_an_unknown_name_offers_near_ones(store):
    store.put("digits/images", 1)
    with pytest.raises(tensord.NotFoundError, match="digits/image.*digits/images"):
        store.attach("digits/image")
    for use in (store.delete, store.info, store.__getitem__, store.__delitem__):
        with pytest.raises(KeyError):
            use("nobody/here")


def test_a_sealed_tensor_cannot_be_attached_for_writing(store):
    store.put("sealed", [1, 2])
    with pytest.raises(tensord.PermissionDeniedError, match="sealed") as caught:
        store.attach("sealed", "r+")
    assert isinstance(caught.value, PermissionError)


def test_no_space_says_asked_free_and_limit(own_daemon):
    with tensord.connect(own_daemon.socket) as store:
        store.put("fits", np.zeros(1 << 20))
        with pytest.raises(tensord.OutOfSpaceError) as caught:
            store.put("too/big", np.zeros(100 << 20, np.uint8))
        assert isinstance(caught.value, MemoryError)
        text = str(caught.value)
        assert "100" in text and "64" in text and "MiB" in text, text
        assert list(store) == ["fits"] and store.stats().building_tensors == 0
