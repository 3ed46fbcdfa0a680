"""A store is a mapping of names to views."""

from collections.abc import Mapping

import numpy as np
import pytest

import tensord


def test_a_store_is_a_mapping(store):
    assert isinstance(store, Mapping)
    store.put("b/y", [2])
    store.put("a", [1])
    store.put("b/x", [3])
    assert list(store) == list(store.keys()) == store.names() == ["a", "b/x", "b/y"]
    assert len(store) == 3
    assert [view.numpy().tolist() for view in store.values()] == [[1], [3], [2]]
    assert {name: view.name for name, view in store.items()} == {"a": "a", "b/x": "b/x", "b/y": "b/y"}
    assert store["b/x"].numpy().tolist() == [3]


def test_names_are_listed_by_prefix(store):
    for name in ("digits/images", "digits/labels", "digit", "other"):
        store.put(name, 1)
    assert store.names("digits/") == ["digits/images", "digits/labels"]
    assert store.names(prefix="digit") == ["digit", "digits/images", "digits/labels"]
    assert store.names("no such") == []


def test_many_names_are_listed_whole(store):
    names = sorted(f"many/{i:03}/{'x' * 200}" for i in range(100))
    for name in names:
        store.put(name, 0)
    assert store.names("many/") == names


def test_membership_and_deletion(store):
    store.put("a", 1)
    assert "a" in store and "b" not in store and 5 not in store
    del store["a"]
    assert "a" not in store
    with pytest.raises(KeyError, match="a"):
        del store["a"]


def test_get_has_a_default(store):
    store.put("a", 1)
    assert store.get("a").name == "a"
    assert store.get("b") is None and store.get("b", 7) == 7


def test_an_empty_store_is_still_true(store):
    assert len(store) == 0 and store


def test_names_are_text_of_any_language(store):
    store.put("größe/数", np.arange(2))
    assert store.names() == ["größe/数"] and store["größe/数"].name == "größe/数"


def test_info_describes_without_attaching(store):
    store.put("live/x", np.zeros((2, 3), np.int16), live=True, lifetime="client")
    info = store.info("live/x")
    assert isinstance(info, tensord.TensorInfo)
    assert info[:6] == ("live/x", "int16", "live", "client", (2, 3), 12)
    assert info.created_unix_ns > 0


def test_stats_count(store):
    before = store.stats()
    store.put("a", np.zeros(1000))
    view = store.attach("a")
    store.delete("a")
    after = store.stats()
    assert isinstance(after, tensord.StoreStats)
    assert after.used_bytes - before.used_bytes >= 8000 and after.dying_tensors == 1
    assert after.daemon_pid > 0 and after.connections >= 1 and after.version == tensord.__version__
    view.close()
