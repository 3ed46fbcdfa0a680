"""Tensors made in place: hidden, then whole, or not at all."""

import gc

import numpy as np
import pytest
import torch
from running_daemon import eventually

import tensord


def test_a_tensor_is_hidden_until_the_block_ends(store):
    with store.build("made", (2, 3), "float32") as view:
        assert "made" not in store and store.stats().building_tensors == 1
        assert (view.name, view.dtype, view.shape, view.mode) == ("made", "float32", (2, 3), "r+")
        assert "not published" in repr(view)
        view.numpy()[:] = [[1, 2, 3], [4, 5, 6]]
    assert store["made"].numpy().tolist() == view.numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert view.bytes_copied == store.stats().bytes_copied_in == 0
    assert store.stats().building_tensors == 0


def test_torch_fills_it_too(store):
    with store.build("made", 4, torch.bfloat16) as view:
        torch.arange(4, out=view.torch())
    assert store["made"].torch().tolist() == [0, 1, 2, 3]


def test_sealed_means_read_only_from_the_end_of_the_block(store):
    with store.build("made", 3, float) as view:
        inside = view.numpy()
        inside[:] = 1
    assert view.mode == "r" and not view.numpy().flags.writeable
    assert not inside.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        inside[0] = 2


def test_live_stays_writable(store):
    with store.build("made", 3, np.int8, live=True) as view:
        view.numpy()[:] = 1
    view.numpy()[0] = 5
    assert store["made"].numpy().tolist() == [5, 1, 1]


def test_an_exception_drops_it(store):
    used = store.stats().used_bytes
    with pytest.raises(RuntimeError, match="no good"):
        with store.build("made", 1000, float) as view:
            raise RuntimeError("no good")
    assert view.closed and "made" not in store
    assert (store.stats().building_tensors, store.stats().used_bytes) == (0, used)


def test_an_array_kept_from_a_dropped_block_writes_into_nobodys_bytes(store):
    with pytest.raises(RuntimeError):
        with store.build("made", 100, "int64") as view:
            kept = view.numpy()
            raise RuntimeError
    tenants = [store.put(f"tenant/{i}", np.zeros(100, np.int64)) for i in range(20)]
    kept[:] = -1
    assert not any(tenant.numpy().any() for tenant in tenants)
    assert store.stats().building_tensors == 1
    del kept
    gc.collect()
    assert eventually(lambda: store.stats().building_tensors == 0)


def test_arrays_kept_from_the_block_outlive_everything(store):
    with store.build("made", 3, "int64") as view:
        array, tensor = view.numpy(), view.torch()
        array[:] = [1, 2, 3]
    view.close()
    store.delete("made")
    assert store.stats().dying_tensors == 1
    assert array.tolist() == tensor.tolist() == [1, 2, 3]
    del array, tensor
    assert eventually(lambda: store.stats().dying_tensors == 0)


def test_closing_the_view_inside_of_the_block_still_publishes(store):
    with store.build("made", (), "int64") as view:
        view.numpy()[...] = 7
        view.close()
    assert store["made"].numpy() == 7 and view.closed


def test_replace_takes_the_name_at_the_end(store):
    old = store.put("made", 1)
    with store.build("made", (), "int64", replace=True) as view:
        view.numpy()[...] = 2
        assert store["made"].numpy() == 1
    assert store["made"].numpy() == 2 and old.numpy() == 1


def test_a_name_that_is_taken_meanwhile_is_an_error_at_the_end(store):
    with pytest.raises(tensord.AlreadyExistsError, match="made"):
        with store.build("made", 2, "int8") as view:
            store.put("made", 1)
    assert view.closed and store["made"].numpy() == 1
    assert eventually(lambda: store.stats().building_tensors == 0)


def test_what_needs_a_published_tensor_says_so(store):
    with store.build("made", 2, "int8") as view:
        for use in (lambda: view.clone(), lambda: view.location, lambda: view.__dlpack__(copy=True)):
            with pytest.raises(tensord.InvalidArgumentError, match="not published yet"):
                use()


def test_a_block_is_entered_once(store):
    block = store.build("made", 2, "int8")
    with block:
        pass
    with pytest.raises(tensord.InvalidArgumentError, match="entered once"):
        block.__enter__()
    with pytest.raises(tensord.InvalidArgumentError, match="has ended"):
        block.__exit__(None, None, None)


def test_a_block_that_is_never_entered_costs_nothing(store):
    block = store.build("made", 1000, "int8")
    assert store.stats().building_tensors == 1
    del block
    assert eventually(lambda: store.stats().building_tensors == 0)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("f4"), torch.float32, "<f4"], ids=repr)
def test_a_dtype_is_given_in_any_of_the_usual_words(store, dtype):
    with store.build("made", (2,), dtype) as view:
        assert view.dtype == "float32"


@pytest.mark.parametrize(
    "shape, error, text",
    [
        ((2, -1), ValueError, "negative|-1"),
        ("23", ValueError, "a shape is a number or a sequence of numbers"),
        ((2.5,), ValueError, "2.5 is none"),
        ((1 << 70,), ValueError, "does not fit any memory"),
        ((1 << 40, 1 << 40), ValueError, "64 bits"),
        ((1,) * 17, tensord.LimitReachedError, "17 dimensions"),
    ],
    ids=str,
)
def test_impossible_shapes_are_refused(store, shape, error, text):
    with pytest.raises(error, match=text) as caught:
        store.build("made", shape, "float32")
    assert isinstance(caught.value, tensord.Error)


@pytest.mark.parametrize("dtype", ["O", "U4", "no such", object, ">f4", "M8[s]", torch.bits8, 7], ids=repr)
def test_impossible_dtypes_are_refused(store, dtype):
    with pytest.raises(tensord.UnsupportedTypeError, match="tensord does not hold"):
        store.build("made", 3, dtype)
