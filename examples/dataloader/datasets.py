"""Datasets: the ways to give a DataLoader the same patches. An item is a patch and its number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from patches import SHAPE, Bytes, Patches
from torch.utils.data import Dataset

import tensord
from tensord.torch import TensorDataset

Item = tuple[Any, int]


class NoData(Dataset[Item]):
    """The same work with hardly anything to keep: what Python, torch and the workers themselves cost."""

    def __init__(self, patches: Patches) -> None:
        self.length = len(patches)
        self.item = patches[0]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        return self.item, index


class ListOfBytes(Dataset[Item]):
    """As one has them who read many small files: an object of Python for each item."""

    def __init__(self, patches: Patches) -> None:
        self.items = [patches[index].tobytes() for index in range(len(patches))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        # A copy, for torch wants memory that may be written.
        return torch.frombuffer(bytearray(self.items[index]), dtype=torch.uint8).view(SHAPE), index


class ListOfArrays(Dataset[Item]):
    def __init__(self, patches: Patches) -> None:
        self.items = [patches[index] for index in range(len(patches))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index], index


class OneArray(Dataset[Item]):
    def __init__(self, patches: Patches) -> None:
        self.items: Bytes = np.empty((len(patches), *SHAPE), np.uint8)
        patches.fill(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index], index


def in_store(patches: Patches) -> TensorDataset:
    """By name: another process has put them there, and is gone."""
    store = tensord.connect(start=False)
    return TensorDataset(store["photos/patches"], store["photos/numbers"])


WAYS: dict[str, Callable[[Patches], Dataset[Any]]] = {
    "no data": NoData,
    "list of bytes": ListOfBytes,
    "list of arrays": ListOfArrays,
    "one NumPy array": OneArray,
    "tensord": in_store,
}
