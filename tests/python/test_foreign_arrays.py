"""put() takes the arrays of libraries that we know nothing of, by the protocols that they offer."""

import numpy as np
import pytest
from foreign_arrays import (
    READ_ONLY,
    ArrayInterface,
    CapsuleOnly,
    CudaInterface,
    CupyStyle,
    JaxStyle,
    OldStyle,
    Pinned,
    example,
)

import tensord


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
@pytest.mark.parametrize("style", [JaxStyle, OldStyle, CapsuleOnly, Pinned, ArrayInterface])
def test_put_takes_an_array_of_another_library(store, style, dtype):
    view = store.put("a", style(example(dtype)))
    assert (view.dtype, view.shape, view.bytes_copied) == (dtype, (2, 3), view.nbytes)
    assert view.numpy().tolist() == example(dtype).tolist()


def test_a_new_producer_is_asked_for_dlpack_1_and_for_no_copy_of_its_own(store):
    assert JaxStyle.flags == READ_ONLY
    producer = JaxStyle(example())
    store.put("a", producer)
    ((stream, max_version, dl_device, copy),) = producer.asked
    assert (stream, dl_device, copy) == (None, None, None) and max_version >= (1, 0)


def test_a_producer_without_keywords_is_asked_again_without(store):
    producer = OldStyle(example())
    store.put("a", producer)
    assert producer.asked == [(None,)]


@pytest.mark.parametrize("style", [CupyStyle, CudaInterface])
def test_an_array_on_a_gpu_is_refused_with_the_way_out(store, style):
    gpu = style(example()) if style is CupyStyle else style()
    with pytest.raises(tensord.UnsupportedTypeError, match=f"{style.__name__}.*copy it to the CPU first.*cupy.asnumpy"):
        store.put("gpu", gpu)
    assert "gpu" not in store
    if style is CupyStyle:
        assert gpu.asked == []  # nothing was exported in vain


def test_a_capsule_on_a_gpu_is_refused_although_nobody_said_so_before(store):
    class Liar(CapsuleOnly):
        device = (2, 0)

    with pytest.raises(tensord.UnsupportedTypeError, match="device type 2"):
        store.put("gpu", Liar(example()))


def test_a_capsule_of_a_later_dlpack_is_not_read(store):
    class Later(JaxStyle):
        version = (2, 0)

    with pytest.raises(tensord.UnsupportedTypeError, match="DLPack version 2"):
        store.put("later", Later(example()))


def test_a_read_only_array_interface_is_read(store):
    frozen = example("int64")
    frozen.flags.writeable = False
    assert store.put("frozen", ArrayInterface(frozen)).numpy().sum() == 15


@pytest.mark.parametrize("form", ["tuple", "enumeration", "numpy"])
def test_a_device_type_may_be_any_kind_of_integer(store, form):
    import enum

    class Device(enum.IntEnum):
        kDLCPU = 1

    class Producer(JaxStyle):
        device = {"tuple": (1, 0), "enumeration": (Device.kDLCPU, 0), "numpy": (np.int32(1), 0)}[form]

    assert store.put("a", Producer(example())).shape == (2, 3)
