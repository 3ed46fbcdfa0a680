"""Peer: what is asked of every way of sharing arrays, ours included.

One object of a peer's class lives in the producer and one in the consumer; both are processes of their
own. Arrays are one-dimensional float32 of `length` elements. A name is "purpose/rest", where the purpose
says which question it is for.
"""

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Handle = Any

# After this long without the other process, something is wrong.
PATIENCE_S = 30.0


class Unsupported(Exception):
    """The peer cannot do this. The text says why, and stands in the report."""


class Peer:
    title: ClassVar[str]
    # What was chosen where the peer leaves a choice, and why: a line of the report.
    settings: ClassVar[str] = ""
    # Attaches before the timed ones, because the first after a sleep finds cold caches.
    untimed_attaches: ClassVar[int] = 3
    # The questions that are asked of it; None: all.
    questions: ClassVar[frozenset[str] | None] = None

    @staticmethod
    def version() -> str:
        raise NotImplementedError

    @staticmethod
    def queue_limit(length: int) -> int | None:
        """How many arrays of this length can wait for one reader, if each is received once. None: an array
        is kept under its name, and any number of readers attach to it as often as they like."""
        return None

    @classmethod
    def serve(cls, place: Path, prefix: str) -> Callable[[], None]:
        """Starts what the peer needs beside producer and consumer; returns what ends it.

        `place` is an empty folder with a short path; whatever has to lie elsewhere is called `prefix`
        something, so that it can be told from what others left there.
        """
        return lambda: None

    def __init__(self, place: Path, prefix: str) -> None:
        self.place, self.prefix = place, prefix
        # To the other process: what peers that cannot wait for a tensor send names through. Set by worker.py.
        self.pipe: Connection

    def connect(self) -> None:
        """Everything between a running process and its first put or attach."""

    def close(self) -> None:
        """Ends what connect() began."""

    def keep_connections(self, count: int) -> None:
        """Has so many connections open beside the one that connect() made, which do nothing."""
        if count:
            raise Unsupported("has no connections")

    # ---- the producer ----

    def put(self, name: str, array: Floats) -> None:
        """Stores `array` under a new name; when this returns, others can have it."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        raise NotImplementedError

    def offer(self, name: str, array: Floats, times: int) -> None:
        """Makes the next `times` attaches to `name` possible, where having been put is not enough."""

    def give(self, name: str, array: Floats, soon: bool) -> None:
        """put(), and wakes the consumer that waits in take() with the same `soon`."""
        self.put(name, array)
        self.pipe.send_bytes(name.encode())

    # ---- the consumer ----

    def prepare(self, name: str, length: int) -> None:
        """What a consumer does once for a name before it can attach; not timed."""

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        """The array that was put, not a copy if the peer can avoid one. The caller drops the array first, and
        then the handle by release()."""
        raise NotImplementedError

    def release(self, handle: Handle) -> None:
        pass

    def attach_torch(self, name: str, length: int) -> tuple[Any, Handle]:
        """The same as a torch.Tensor."""
        import torch

        array, handle = self.attach(name, length)
        return torch.from_numpy(array), handle

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        """Waits until the producer gives `name`, then attaches. `soon`: it comes within microseconds, so
        that who can should poll."""
        return self.attach(self.pipe.recv_bytes().decode(), length)


class Referenced(Peer):
    """A peer whose arrays have no names: each reader is sent a reference once, by offer()."""

    def __init__(self, place: Path, prefix: str) -> None:
        super().__init__(place, prefix)
        self.known: dict[str, Any] = {}  # of the consumer: the references that have come, by name

    def learn(self) -> str:
        """Takes the next reference from the pipe into `known`; its name."""
        raise NotImplementedError

    def reference(self, name: str) -> Any:
        while name not in self.known:
            self.learn()
        return self.known[name]

    def give(self, name: str, array: Floats, soon: bool) -> None:
        self.put(name, array)
        self.offer(name, array, 1)

    def prepare(self, name: str, length: int) -> None:
        while self.pipe.poll():
            self.learn()
