"""tensord, asked the same questions as everybody."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensord

from peers.peer import PATIENCE_S, Floats, Handle, Peer

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "python"))
from running_daemon import RunningDaemon  # noqa: E402


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

    def close(self) -> None:
        self.store.close()

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
