"""Patches: small pictures cut from two real photographs, and a number for each that proves its bytes."""

from typing import Any

import numpy as np

SIDE = 32
SHAPE = (SIDE, SIDE, 3)
BYTES = SIDE * SIDE * 3
CHUNK = 4096
"""Patches that are looked at together: the checks must not need a second data set's memory."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]

# A patch's proof is a weighted sum of its bytes: another patch, or its pixels in another order, has another one.
# Whole numbers below 2**53, so the sum is exact, in whatever order it is taken.
_WEIGHTS = np.random.default_rng(3).integers(1, 1 << 20, BYTES).astype(np.float64)


class Patches:
    """`count` patches, each from a place of its own; the same ones whenever they are cut."""

    def __init__(self, count: int) -> None:
        # Not above: a spawned worker imports this module, and needs no photographs.
        from sklearn.datasets import load_sample_images

        # Every place where a patch fits, as a window: no copy.
        photographs = load_sample_images().images
        self._windows = [np.lib.stride_tricks.sliding_window_view(photo, SHAPE)[:, :, 0] for photo in photographs]
        places = sum(rows.shape[0] * rows.shape[1] for rows in self._windows)
        if not 0 < count <= places:
            raise SystemExit(f"dataloader: the photographs have {places:,} patches, {count:,} are asked for")
        self._chosen = np.random.default_rng(9).permutation(places)[:count]

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Bytes:
        """A copy of one patch, SIDE x SIDE x 3."""
        place = int(self._chosen[index])
        for rows in self._windows:
            height, width = rows.shape[:2]
            if place < height * width:
                return np.array(rows[place // width, place % width])
            place -= height * width
        raise IndexError(index)

    def fill(self, out: Bytes) -> None:
        """All patches, into memory that is there."""
        for index in range(len(self)):
            out[index] = self[index]

    def proofs(self) -> Numbers:
        """The proof of each patch, from the photographs themselves."""
        proofs = np.empty(len(self))
        for start in range(0, len(self), CHUNK):
            stop = min(start + CHUNK, len(self))
            proofs[start:stop] = proofs_of(np.stack([self[index] for index in range(start, stop)]))
        return proofs


def proofs_of(patches: Bytes) -> Numbers:
    proofs: Numbers = patches.reshape(len(patches), BYTES).astype(np.float64) @ _WEIGHTS
    return proofs
