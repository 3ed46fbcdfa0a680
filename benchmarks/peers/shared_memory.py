"""multiprocessing.shared_memory, with its resource tracker and without."""

import platform
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from peers.peer import Floats, Handle, Peer


class Tracked(Peer):
    title = "SharedMemory"
    settings = (
        "as it comes: one resource tracker for producer and consumer, which have a common parent; "
        "names go through a multiprocessing.Pipe"
    )

    @staticmethod
    def version() -> str:
        return "Python " + platform.python_version()

    def connect(self) -> None:
        self.made: dict[str, SharedMemory] = {}

    def system_name(self, name: str) -> str:
        return self.prefix + name.replace("/", "-")

    def put(self, name: str, array: Floats) -> None:
        shared = SharedMemory(self.system_name(name), create=True, size=array.nbytes)
        np.copyto(np.ndarray(array.shape, np.float32, shared.buf), array)
        shared.close()
        self.made[name] = shared

    def delete(self, name: str) -> None:
        self.made.pop(name).unlink()

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        shared = SharedMemory(self.system_name(name))
        return np.ndarray((length,), np.float32, shared.buf), shared

    def release(self, handle: Handle) -> None:
        handle.close()


class Untracked(Tracked):
    title = "SharedMemory, untracked"
    settings = "without the resource tracker: track=False, before Python 3.13 by replacing its functions"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        if sys.version_info < (3, 13):
            # The usual way around it; this process has no other use for the tracker.
            for function in ("register", "unregister"):
                setattr(resource_tracker, function, lambda name, kind: None)

    if sys.version_info >= (3, 13):

        def put(self, name: str, array: Floats) -> None:
            shared = SharedMemory(self.system_name(name), create=True, size=array.nbytes, track=False)
            np.copyto(np.ndarray(array.shape, np.float32, shared.buf), array)
            shared.close()
            self.made[name] = shared

        def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
            shared = SharedMemory(self.system_name(name), track=False)
            return np.ndarray((length,), np.float32, shared.buf), shared
