"""tensord, asked the same questions as everybody."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tensord
from peers.peer import PATIENCE_S, Floats, Handle, Peer

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "python"))
from running_daemon import RunningDaemon


class Tensord(Peer):
    title = "tensord"
    settings = "sealed tensors, all defaults"

    @staticmethod
    def version() -> str:
        return tensord.__version__

    @classmethod
    def serve(cls, place: Path, prefix: str) -> Callable[[], None]:
        return RunningDaemon(place).stop

    def connect(self) -> None:
        self.store = tensord.connect(self.place / "tensord.sock", start=False)
        self.others: list[tuple[tensord.Store, tensord.View]] = []

    def close(self) -> None:
        self.keep_connections(0)
        self.store.close()

    def keep_connections(self, count: int) -> None:
        """Each has attached a tensor, so that a delete has to look at its ledger."""
        if count and not self.others:
            self.store.put("connections/all", np.ones(16, np.float32), replace=True)
        while len(self.others) > count:
            self.others.pop()[0].close()
        while len(self.others) < count:
            store = tensord.connect(self.place / "tensord.sock", start=False)
            self.others.append((store, store.attach("connections/all")))

    def put(self, name: str, array: Floats) -> None:
        self.store.put(name, array)

    def delete(self, name: str) -> None:
        self.store.delete(name)

    def give(self, name: str, array: Floats, soon: bool) -> None:
        self.store.put(name, array)

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return self.store.attach(name).numpy(), None

    def attach_torch(self, name: str, length: int) -> tuple[Any, Handle]:
        return self.store.attach(name).torch(), None

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        return self.store.wait(name, timeout=PATIENCE_S).numpy(), None


class LiveTensord(Tensord):
    title = "tensord, live"
    settings = 'live tensors, attached with mode "r+"'
    questions = frozenset({"attach", "attach_torch"})

    def put(self, name: str, array: Floats) -> None:
        self.store.put(name, array, live=True)

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return self.store.attach(name, "r+").numpy(), None

    def attach_torch(self, name: str, length: int) -> tuple[Any, Handle]:
        return self.store.attach(name, "r+").torch(), None
