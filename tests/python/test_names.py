"""Names of up to 255 bytes of UTF-8."""

import pickle

import numpy as np
import pytest

import tensord

# 6 letters and the slash are 8 bytes, then 61 of four bytes each, then 3.
LONGEST = "größe/" + "𝛑" * 61 + "end"


def test_a_name_of_255_bytes_is_a_name_everywhere(store):
    assert len(LONGEST.encode()) == 255
    view = store.put(LONGEST, np.arange(3.0))
    assert view.name == LONGEST
    assert list(store) == [LONGEST] and LONGEST in store
    assert store[LONGEST].numpy().tolist() == [0.0, 1.0, 2.0]
    assert store.info(LONGEST).name == LONGEST
    assert store.wait(LONGEST, timeout=1).name == LONGEST
    assert store.holders(LONGEST)[0].name == LONGEST
    assert pickle.loads(pickle.dumps(view)).name == LONGEST
    assert LONGEST in repr(view)
    del store[LONGEST]
    assert LONGEST not in store


def test_errors_show_it_whole(store):
    store.put(LONGEST, np.arange(3.0))
    with pytest.raises(tensord.AlreadyExistsError) as exists:
        store.put(LONGEST, np.arange(3.0))
    assert f"'{LONGEST}'" in str(exists.value)
    missing = LONGEST[:-1] + "t"
    with pytest.raises(tensord.NotFoundError) as not_found:
        store[missing]
    assert f"'{missing}'" in str(not_found.value) and f"did you mean '{LONGEST}'" in str(not_found.value)


@pytest.mark.parametrize(
    "use",
    [
        lambda store, name: store.put(name, np.arange(3.0)),
        lambda store, name: store.build(name, 3, "float32").__enter__(),
        lambda store, name: store.attach(name),
        lambda store, name: store.wait(name, timeout=1),
        lambda store, name: store.delete(name),
        lambda store, name: store.info(name),
        lambda store, name: store.holders(name),
    ],
)
def test_one_more_byte_is_refused_with_both_numbers(store, use):
    with pytest.raises(tensord.InvalidArgumentError, match="has 256 bytes; at most 255 are allowed"):
        use(store, LONGEST + "x")
