"""Vineyard: an object store with a daemon and metadata; as NumPy arrays, and as plain blobs."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import vineyard

from peers import programs
from peers.peer import Floats, Handle, Peer, Referenced


class Arrays(Peer):
    title = "Vineyard"
    settings = (
        "put(persist=True, name=...) and get(name=...); metadata kept in the daemon, no etcd; a store of 2 GiB; "
        "names go through a multiprocessing.Pipe, for get does not wait"
    )

    @staticmethod
    def version() -> str:
        return metadata.version("vineyard")

    @classmethod
    def serve(cls, place: Path, prefix: str) -> Callable[[], None]:
        socket = place / "vineyard"
        program = Path(vineyard.__file__).parent / "bdist" / "vineyardd"
        arguments = ["--socket", str(socket), "--size", "2G", "--meta", "local", "--rpc=false"]
        return programs.serve(program, arguments, socket)

    def connect(self) -> None:
        self.client = vineyard.connect(str(self.place / "vineyard"))
        self.others: list[Any] = []
        self.made: dict[str, vineyard.ObjectID] = {}

    def close(self) -> None:
        self.keep_connections(0)
        self.client.close()

    def keep_connections(self, count: int) -> None:
        while len(self.others) > count:
            self.others.pop().close()
        while len(self.others) < count:
            self.others.append(vineyard.connect(str(self.place / "vineyard")))

    def put(self, name: str, array: Floats) -> None:
        self.made[name] = self.client.put(array, persist=True, name=name)

    def delete(self, name: str) -> None:
        self.client.drop_name(name)
        self.client.delete(self.made.pop(name))

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return self.client.get(name=name), None


class Blobs(Referenced, Arrays):
    title = "Vineyard, blobs"
    settings = (
        "create_blob, copy, seal and get_blob: neither names nor dtypes; each reader is told the blob's number "
        "once, through a multiprocessing.Pipe"
    )

    def put(self, name: str, array: Floats) -> None:
        builder = self.client.create_blob(array.nbytes)
        np.copyto(np.frombuffer(memoryview(builder), np.float32), array)
        self.made[name] = builder.seal(self.client).id

    def delete(self, name: str) -> None:
        self.client.delete(self.made.pop(name))

    def offer(self, name: str, array: Floats, times: int) -> None:
        self.pipe.send((name, repr(self.made[name])))

    def learn(self) -> str:
        name: str
        name, number = self.pipe.recv()
        self.known[name] = vineyard.ObjectID(number)
        return name

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        blob = self.client.get_blob(self.reference(name))
        return np.frombuffer(memoryview(blob), np.float32), None

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        self.learn()
        return self.attach(name, length)
