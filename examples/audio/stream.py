"""Stream: the samples that decoder.cpp writes, block by block, as they come."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import tensord

Samples = np.ndarray[Any, np.dtype[np.float32]]

PATIENCE_S = 30.0


class Format(NamedTuple):
    rate_hz: int
    channels: int
    bits: int
    frames: int


class Stream:
    """One file on its way. The ring's version says how many blocks were written; `taken`, how many we have."""

    def __init__(self, store: tensord.Store, name: str) -> None:
        with store.wait(f"audio/{name}/format", timeout=PATIENCE_S) as view:
            self.format = Format(*map(int, view.numpy()))
        self._ring = store.attach(f"audio/{name}/ring")
        self._taken = store.attach(f"audio/{name}/taken", mode="r+")

    def blocks(self) -> Iterator[Samples]:
        """Frames x channels, in order, none twice and none lost. The last one is as long as what is left."""
        ring_blocks, block_frames, _ = self._ring.shape
        own: Samples = np.empty(self._ring.shape, np.float32)
        seen, left = 0, self.format.frames
        while left > 0:
            self._ring.wait(seen, timeout=PATIENCE_S)
            # The whole ring at one version: a few blocks more than needed, and none that is half written.
            written = self._ring.read(own, timeout=PATIENCE_S).version
            for block in range(seen, written):
                frames = min(block_frames, left)
                yield own[block % ring_blocks, :frames].copy()
                left -= frames
                with self._taken.writing():
                    pass  # its version is what it says
            seen = written
