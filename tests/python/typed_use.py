"""Code as users write it, with the types that they get. mypy reads it (test_typing.py), nobody runs it.

A line with `type: ignore` is a mistake that must be found: mypy complains of an ignore that it does not need.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.utils.dlpack
from typing_extensions import assert_type

import tensord
from tensord import files, shared_memory
from tensord.torch import TensorDataset


def connecting() -> None:
    assert_type(tensord.connect(), tensord.Store)
    with tensord.connect(Path("/run/tensord.sock"), start=False) as store:
        assert_type(store, tensord.Store)
    tensord.connect(socket=7)  # type: ignore[arg-type]


def a_store_is_a_mapping(store: tensord.Store) -> None:
    mapping: Mapping[str, tensord.View] = store
    assert_type(mapping["a"], tensord.View)
    assert_type(store.get("a"), tensord.View | None)
    assert_type(list(store), list[str])
    assert_type(dict(store.items()), dict[str, tensord.View])
    assert_type("a" in store, bool)
    del store["a"]
    store["a"] = 1  # type: ignore[index]


def putting_and_building(store: tensord.Store, tensor: torch.Tensor) -> None:
    assert_type(store.put("a", tensor, replace=True, lifetime="client"), tensord.View)
    with store.build("b", (2, 3), torch.bfloat16, live=True) as view:
        assert_type(view, tensord.View)
    store.build("b", 3, np.dtype("f4"))
    store.put("a", tensor, live="yes")  # type: ignore[arg-type]
    store.put("a", tensor, lifetime="forever")  # type: ignore[arg-type]
    store.attach("a", "w")  # type: ignore[arg-type]


def viewing(view: tensord.View) -> None:
    assert_type(view.numpy(), np.ndarray[Any, Any])
    assert_type(view.torch(), torch.Tensor)
    assert_type(view.clone(), np.ndarray[Any, Any])
    assert_type(view.clone(torch=True), torch.Tensor)
    assert_type(view.kind, Literal["sealed", "live"])
    assert_type(view.shape, tuple[int, ...])
    assert_type(view.location.inode, int)
    np.asarray(view)
    np.from_dlpack(view)
    torch.utils.dlpack.from_dlpack(view)
    memoryview(view)
    view.shape = (1,)  # type: ignore[misc]
    view.dtpye  # type: ignore[attr-defined]  # noqa: B018


def waiting_and_writing(view: tensord.View) -> None:
    assert_type(view.wait(view.version, timeout=0.5), int)
    with view.writing(repair=True):
        pass
    view.wait(1, timeout="soon")  # type: ignore[arg-type]


def records(store: tensord.Store) -> None:
    assert_type(store.stats().used_bytes, int)
    assert_type(store.info("a"), tensord.TensorInfo)
    assert_type(store.holders(), list[tensord.Holder])
    assert_type(store.holders("a")[0].views, int)


def modules(store: tensord.Store, view: tensord.View) -> None:
    assert_type(files.load(store, "model", Path("model.pt")), list[str])
    assert_type(shared_memory.SharedMemory("a").size, int)
    assert_type(TensorDataset(view)[0], tuple[torch.Tensor, ...])


def catching() -> None:
    try:
        pass
    except tensord.TimeoutError as error:
        late: TimeoutError = error
        ours: tensord.Error = error
        del late, ours
