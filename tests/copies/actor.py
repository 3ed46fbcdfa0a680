"""One process that plays a side of docs/copies.md, in Python; actor.cpp is its twin and lists the commands.

One more: ``attach NAME``, to look at a tensor that no example made.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np
import page
import torch

import tensord

# torch.from_numpy warns of a read-only array: the page says so, and shows what comes of it.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


class Actor:
    def __init__(self) -> None:
        self._examples = page.examples()
        self._store = tensord.connect()
        self._names: dict[str, Any] = {}

    def run(self, role: str, number: str) -> dict[str, Any]:
        block = self._examples[int(number)].blocks[role, "python"]
        code = compile("\n" * (block.line - 1) + block.code, str(page.PATH), "exec")
        self._names = {"store": self._store, "np": np, "torch": torch, "tensord": tensord}
        before = self._store.stats()
        exec(code, self._names)
        after = self._store.stats()
        return {
            "in": after.bytes_copied_in - before.bytes_copied_in,
            "out": after.bytes_copied_out - before.bytes_copied_out,
            "by view": self._names["view"].bytes_copied,
        }

    def attach(self, name: str) -> dict[str, Any]:
        view = self._store.attach(name)
        self._names = {"view": view, "weights": view.numpy()}
        return {}

    def look(self) -> dict[str, Any]:
        view, weights = self._names["view"], self._names["weights"]
        return {
            "values": np.asarray(weights).ravel().tolist(),
            "dtype": view.dtype,
            "nbytes": view.nbytes,
            "shape": view.shape,
            "strides": view.strides,
            "place": [view.location.inode, view.location.offset],
        }

    def fill(self, value: str) -> dict[str, Any]:
        weights = self._names["weights"]
        if isinstance(weights, np.ndarray) and not weights.flags.writeable:
            return {"done": False}
        weights[...] = float(value)
        return {"done": True}

    def drop(self) -> dict[str, Any]:
        self._names = {}
        return {}


def main() -> None:
    actor = Actor()
    for line in sys.stdin:
        word, *arguments = line.split()
        try:
            answer = getattr(actor, word)(*arguments)
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
