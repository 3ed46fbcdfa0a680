"""No sharing at all: what NumPy and PyTorch themselves cost, and what asking through Peer adds."""

from typing import Any

import numpy as np

from peers.peer import Floats, Handle, Peer


class Floor(Peer):
    title = "NumPy in one process"
    settings = "nothing is shared: np.frombuffer of private bytes; np.copyto into private pages that are warm"
    questions = frozenset({"attach", "attach_torch", "put"})

    @staticmethod
    def version() -> str:
        return np.__version__

    def connect(self) -> None:
        self.private: dict[int, bytearray] = {}
        self.places: dict[int, Floats] = {}

    def put(self, name: str, array: Floats) -> None:
        place = self.places.get(array.size)
        if place is None:
            place = self.places[array.size] = np.zeros_like(array)
        np.copyto(place, array)

    def delete(self, name: str) -> None:
        pass

    def prepare(self, name: str, length: int) -> None:
        self.private[length] = bytearray(np.arange(length, dtype=np.float32).tobytes())

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return np.frombuffer(self.private[length], dtype=np.float32), None

    def attach_torch(self, name: str, length: int) -> tuple[Any, Handle]:
        import torch

        return torch.from_numpy(np.frombuffer(self.private[length], dtype=np.float32)), None
