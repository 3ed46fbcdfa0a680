"""Plasma, Arrow's object store, as it last came with pyarrow 11."""

import hashlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from peers import programs
from peers.peer import Floats, Handle, Peer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says of itself that it is deprecated
    from pyarrow import plasma

COPY_THREADS_FROM_BYTES = 1 << 20


class Plasma(Peer):
    title = "Plasma"
    settings = (
        "create, copy, seal and get_buffers, without Arrow's serialisation; arrays of 1 MiB and more are copied by "
        "its writer with two threads; a store of 2 GiB; get_buffers waits by itself"
    )

    @staticmethod
    def version() -> str:
        return f"pyarrow {pyarrow.__version__}"

    @classmethod
    def serve(cls, place: Path, prefix: str) -> Callable[[], None]:
        socket = place / "plasma"
        program = Path(sys.executable).with_name("plasma_store")
        return programs.serve(program, ["-s", str(socket), "-m", str(2 << 30)], socket)

    def connect(self) -> None:
        self.client = plasma.connect(str(self.place / "plasma"))
        self.others: list[Any] = []

    def close(self) -> None:
        self.keep_connections(0)
        self.client.disconnect()

    def keep_connections(self, count: int) -> None:
        while len(self.others) > count:
            self.others.pop().disconnect()
        while len(self.others) < count:
            self.others.append(plasma.connect(str(self.place / "plasma")))

    @staticmethod
    def object_id(name: str) -> "plasma.ObjectID":
        return plasma.ObjectID(hashlib.sha1(name.encode()).digest())

    def put(self, name: str, array: Floats) -> None:
        object_id = self.object_id(name)
        buffer = self.client.create(object_id, array.nbytes)
        if array.nbytes >= COPY_THREADS_FROM_BYTES:
            writer = pyarrow.FixedSizeBufferWriter(buffer)
            writer.set_memcopy_threads(2)
            writer.write(array)
        else:
            np.copyto(np.frombuffer(buffer, np.float32), array)
        self.client.seal(object_id)

    def delete(self, name: str) -> None:
        self.client.delete([self.object_id(name)])

    def give(self, name: str, array: Floats, soon: bool) -> None:
        self.put(name, array)

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        (buffer,) = self.client.get_buffers([self.object_id(name)])
        return np.frombuffer(buffer, np.float32), None

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        return self.attach(name, length)
