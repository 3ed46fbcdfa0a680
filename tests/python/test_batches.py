"""Several tensors at once: put, built and attached together, published together or not at all."""

import sys
import types

import numpy as np
import pytest
import torch
from other_process import OtherProcess, ask_python

import tensord

SET = {
    "set/floats": np.arange(6, dtype="float32").reshape(2, 3),
    "set/turned": torch.arange(6).reshape(2, 3).T,
    "set/number": 7,
    "set/list": [[1.5], [2.5]],
    "set/none": np.zeros((0, 4), "uint8"),
}


def expected(name):
    return np.asarray(SET[name])


def nothing_is_left(store):
    return list(store) == [] and store.stats().building_tensors == 0


# ---- put_many and attach_many ------------------------------------------------------------------


def test_a_set_put_here_is_attached_there_with_one_copy(store, socket):
    before = store.stats().bytes_copied_in
    put = store.put_many(SET)
    assert list(put) == list(SET)
    assert sum(view.bytes_copied for view in put.values()) == store.stats().bytes_copied_in - before
    told = ask_python(
        socket,
        f"""
        store = tensord.connect()
        views = store.attach_many({list(SET)!r})
        stats = store.stats()
        say([{{name: [view.numpy().tolist(), list(view.location), view.dtype, view.bytes_copied]
              for name, view in views.items()}}, list(views), stats.bytes_copied_out])
        """,
    )
    for name, view in put.items():
        assert told[0][name] == [expected(name).tolist(), list(view.location), view.dtype, 0]
        assert view.dtype == str(expected(name).dtype) and view.nbytes == view.bytes_copied
    assert told[1:] == [list(SET), 0]


def test_a_set_costs_a_few_round_trips_however_large(store):
    arrays = {f"many/{i:03}": np.full(4, i) for i in range(500)}
    before = store.stats().requests
    store.put_many(arrays)
    views = store.attach_many(arrays)
    assert store.stats().requests - before < 10
    assert all((view.numpy() == i).all() for i, view in enumerate(views.values()))


def test_options_hold_for_the_whole_set(store):
    views = store.put_many({"a": [1, 2], "b": [3.0]}, live=True, lifetime="client", dtype="float32")
    for name, view in views.items():
        info = store.info(name)
        assert (info.kind, info.lifetime, info.dtype, view.mode) == ("live", "client", "float32", "r+")
    views["a"].numpy()[0] = 9
    assert store["a"].numpy().tolist() == [9, 2]
    assert {view.mode for view in store.attach_many(["a", "b"], mode="r+").values()} == {"r+"}
    with pytest.raises(tensord.PermissionDeniedError):
        store.put("sealed", 1)
        store.attach_many(["a", "sealed"], "r+")


def test_a_set_may_be_converted_while_it_is_copied(store):
    before = store.stats().bytes_copied_in
    views = store.put_many(
        {"a": np.arange(3.0), "b": torch.ones(2), "c": np.arange(4, dtype="float32")}, dtype="float32"
    )
    assert {view.dtype for view in views.values()} == {"float32"}
    assert [view.numpy().tolist() for view in views.values()] == [[0, 1, 2], [1, 1], [0, 1, 2, 3]]
    assert store.stats().bytes_copied_in - before == sum(view.bytes_copied for view in views.values()) == 4 * 9


@pytest.mark.parametrize(
    "bad, error, text",
    [
        ({"set/bad": np.array(["ä"])}, (TypeError, ValueError), "'set/bad': .*encoded bytes|not become float32"),
        ({"set/bad": None}, tensord.UnsupportedTypeError, "'set/bad': cannot put a NoneType"),
        ({"set//bad": 1}, tensord.InvalidArgumentError, "set//bad"),
        ({"taken": 1}, tensord.AlreadyExistsError, "taken.*replace"),
        ({"set/bad": np.zeros(1 << 30, "uint8")}, tensord.OutOfSpaceError, "set/bad|GiB"),
        ({5: 1}, tensord.InvalidArgumentError, "names are str, not 5"),
    ],
    ids=["dtype", "object", "name", "taken", "space", "key"],
)
def test_when_one_cannot_be_put_none_is(store, bad, error, text):
    store.put("taken", 0)
    for convert in ({}, {"dtype": "float32"}):
        with pytest.raises(error, match=text):
            store.put_many({**SET, **bad}, **convert)
        assert list(store) == ["taken"] and store.stats().building_tensors == 0


def test_a_conversion_that_fails_says_which_it_was(store):
    with pytest.raises(tensord.InvalidArgumentError, match="float32") as caught:
        store.put_many({"a": [1.0], "b": np.array(["no number"])}, dtype="float32")
    if sys.version_info >= (3, 11):  # before, exceptions have no notes
        assert caught.value.__notes__ == ["This is about 'b'."]
    assert nothing_is_left(store)


def test_a_taken_name_is_found_before_anything_is_published(store):
    store.put_many({"x": 1, "y": 2})
    with pytest.raises(tensord.AlreadyExistsError):
        store.put_many({"w": 0, "y": 5, "z": 6})
    assert {name: int(view.numpy()) for name, view in store.items()} == {"x": 1, "y": 2}
    store.put_many({"w": 0, "y": 5, "z": 6}, replace=True)
    assert {name: int(view.numpy()) for name, view in store.items()} == {"w": 0, "x": 1, "y": 5, "z": 6}


def test_attach_many_fails_as_a_whole(store):
    store.put("there", 1)
    with pytest.raises(tensord.NotFoundError, match="gone"):
        store.attach_many(["there", "gone"])
    with pytest.raises(tensord.InvalidArgumentError, match="several names, not 'there'"):
        store.attach_many("there")
    with pytest.raises(tensord.InvalidArgumentError, match="names are str, not 3"):
        store.attach_many([3])
    with pytest.raises(tensord.InvalidArgumentError, match="mapping of names to arrays, not a list"):
        store.put_many([1, 2])


def test_an_empty_set_is_nothing(store):
    assert store.put_many({}) == store.attach_many([]) == {}
    with store.build_many({}) as views:
        assert views == {}


def test_any_mapping_and_any_iterable_of_names_will_do(store):
    store.put_many(types.MappingProxyType({"a": 1, "b": 2}))
    assert list(store.attach_many(name for name in ("b", "a"))) == ["b", "a"]


def test_replaced_sets_are_never_mixed_in_another_process(store, socket):
    names = [f"mix/{i}" for i in range(8)]
    store.put_many({name: np.zeros(3) for name in names})
    with OtherProcess(
        socket,
        f"""
        store = tensord.connect()
        say("ready")
        seen = set()
        while max(seen, default=0) < 200:
            views = store.attach_many({names!r})
            values = {{float(value) for view in views.values() for value in view.numpy()}}
            if len(values) != 1:
                say(sorted(values))
                break
            seen |= values
        else:
            say(len(seen))
        """,
    ) as other:
        assert other.hear() == "ready"
        for generation in range(1, 201):
            store.put_many({name: np.full(3, generation) for name in names}, replace=True)
        told = other.hear()
        assert isinstance(told, int) and told >= 1, f"a mixture of generations {told}"


# ---- memory in common ----------------------------------------------------------------------------


def test_arrays_that_overlap_overlap_in_the_store_if_told_to(store, socket):
    whole = np.arange(12, dtype="float32").reshape(3, 4)
    arrays = {"whole": whole, "row": whole[1], "again": whole, "turned": whole.T, "other": np.ones(2)}
    before = store.stats()
    views = store.put_many(arrays, overlap="keep", live=True)
    after = store.stats()
    copied = whole.nbytes + arrays["other"].nbytes
    assert after.bytes_copied_in - before.bytes_copied_in == copied
    assert views["again"].location == views["turned"].location == views["whole"].location
    assert views["row"].location.offset - views["whole"].location.offset == 16
    told = ask_python(
        socket,
        """
        views = tensord.connect().attach_many(["whole", "row", "again", "turned"], mode="r+")
        views["row"].numpy()[0] = 99
        say([views[name].numpy().tolist() for name in ("whole", "again")])
        """,
    )
    assert told[0] == told[1] == views["whole"].numpy().tolist() and told[0][1][0] == 99
    assert views["turned"].numpy()[0, 1] == 99 and whole[1, 0] == 4


def test_arrays_that_overlap_are_separate_otherwise(store):
    array = np.arange(4.0)
    views = store.put_many({"a": array, "b": array}, live=True)
    views["a"].numpy()[:] = 0
    assert views["b"].numpy().tolist() == [0, 1, 2, 3]
    assert views["a"].bytes_copied == views["b"].bytes_copied == 32


def test_what_must_be_converted_cannot_keep_its_overlap(store):
    array = np.arange(4.0)
    with pytest.raises(tensord.InvalidArgumentError, match="'a' must be converted"):
        store.put_many({"a": array, "b": array}, dtype="float32", overlap="keep")
    with pytest.raises(tensord.InvalidArgumentError, match='overlap is "separate".*not None'):
        store.put_many({"a": array}, overlap=None)
    assert nothing_is_left(store)


# ---- build_many ----------------------------------------------------------------------------------

SPECS = {"built/a": ((2, 3), "float32"), "built/b": (4, np.int64)}


def test_a_set_is_built_in_place_and_published_together(store):
    before = store.stats().bytes_copied_in
    with store.build_many(SPECS) as views:
        assert list(views) == list(SPECS) and list(store) == []
        views["built/a"].numpy()[:] = 1
        views["built/b"].torch().fill_(2)
    assert sorted(store) == sorted(SPECS)
    assert store["built/a"].numpy().tolist() == [[1, 1, 1]] * 2 and store["built/b"].numpy().tolist() == [2] * 4
    assert store.stats().bytes_copied_in == before
    assert views["built/a"].location == store["built/a"].location and not views["built/a"].numpy().flags.writeable


def test_a_built_set_is_dropped_if_the_block_raises(store):
    with pytest.raises(ZeroDivisionError), store.build_many(SPECS) as views:
        views["built/a"].numpy()[:] = 1
        raise ZeroDivisionError
    assert all(view.closed for view in views.values())
    assert nothing_is_left(store)


def test_a_built_set_is_dropped_if_a_name_was_taken_meanwhile(store):
    with pytest.raises(tensord.AlreadyExistsError, match="built/b"), store.build_many(SPECS) as views:
        store.put("built/b", 5)
    assert list(store) == ["built/b"] and int(store["built/b"].numpy()) == 5
    assert all(view.closed for view in views.values())


def test_a_set_is_entered_once(store):
    build = store.build_many(SPECS)
    with build:
        pass
    for use in (build.__enter__, lambda: build.__exit__(None, None, None)):
        with pytest.raises(tensord.InvalidArgumentError, match="BuildMany"):
            use()


@pytest.mark.parametrize("spec", [5, (3,), (3, "float32", 1), "ab", [3, "float32"]], ids=repr)
def test_a_spec_is_a_shape_and_a_dtype(store, spec):
    with pytest.raises(tensord.InvalidArgumentError, match=r"'x' is built as \(shape, dtype\)"):
        store.build_many({"first": (1, "int8"), "x": spec})
    with pytest.raises(tensord.UnsupportedTypeError, match="'y': "):
        store.build_many({"first": (1, "int8"), "y": (3, "U5")})
    assert nothing_is_left(store)
